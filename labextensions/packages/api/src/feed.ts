import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from './errors';
import { Phrases } from './said';
import type { Event } from './types';

/** How the tab stands with the platform. */
export type FeedState = 'connecting' | 'live' | 'away';

/** A part of a step's log: `text`, and the byte offset after it. */
export interface LogPart {
  text: string;
  offset: number;
}

/** Which log to read, from where: a step's, or with `service` that of one of its replicas. */
export interface LogRequest {
  project: string;
  run: string;
  step: string;
  service?: string;
  attempt: number | null;
  replica: string;
  offset: number;
}

/** Who hears of a log. */
export interface LogReader {
  data(part: LogPart): void;
  end(): void;
  error(error: ApiError): void;
}

type Message =
  | { type: 'hello'; last: number }
  | { type: 'event'; event: Event }
  | { type: 'away'; message: string; hint: string }
  | { type: 'back' }
  | { type: 'logs.data'; id: string; offset: number; text: string }
  | { type: 'logs.end'; id: string }
  | { type: 'logs.error'; id: string; message: string; code: string; hint: string };

interface OpenLog {
  request: LogRequest;
  reader: LogReader;
}

const SHORTEST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/**
 * The tab's one websocket: events since the last one seen, and the logs that are open.
 *
 * It comes back by itself; nobody has to ask again for what was missed.
 */
export class Feed implements IDisposable {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** Each event of the platform that this person may see, once, in order. */
  get event(): ISignal<this, Event> {
    return this._event;
  }

  /** Emitted when events count from now on: what was read before that may be old already, and is read again. */
  get begun(): ISignal<this, void> {
    return this._begun;
  }

  /** Emitted when `state` changes. */
  get stateChanged(): ISignal<this, FeedState> {
    return this._stateChanged;
  }

  get state(): FeedState {
    return this._state;
  }

  /** Why the platform is away, and what to do. */
  get reason(): ApiError | null {
    return this._reason;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Connect; after this it stays connected until disposed. What the platform says comes in `phrases`. */
  start(phrases: Phrases): void {
    if (this.socket || this._isDisposed) {
      return;
    }
    this.phrases = phrases;
    const url = URLExt.join(this.settings.wsUrl, 'atelier/feed');
    const socket = new this.settings.WebSocket(url);
    this.socket = socket;
    socket.onopen = () => this.opened(socket);
    socket.onmessage = message => this.received(phrases.parse(message.data as string) as Message);
    socket.onclose = () => this.closed(socket);
  }

  /** Read a log and follow it; the answer ends that. */
  readLog(request: LogRequest, reader: LogReader): IDisposable {
    const id = UUID.uuid4();
    const log: OpenLog = { request: { ...request }, reader };
    this.logs.set(id, log);
    this.send({ type: 'logs.open', id, ...log.request });
    const close = (): void => {
      if (this.logs.delete(id)) {
        this.send({ type: 'logs.close', id });
      }
    };
    return {
      dispose: close,
      get isDisposed(): boolean {
        return false;
      }
    };
  }

  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
    Signal.clearData(this);
  }

  private opened(socket: WebSocket): void {
    this.wait = SHORTEST_WAIT;
    this.hasGreeting = false;
    socket.send(JSON.stringify({ type: 'start', after: this.last }));
    for (const [id, log] of this.logs) {
      this.send({ type: 'logs.open', id, ...log.request });
    }
  }

  private closed(socket: WebSocket): void {
    if (this.socket !== socket) {
      return;
    }
    this.socket = null;
    if (this._isDisposed) {
      return;
    }
    const said = this.phrases.say('The connection to your server is lost.');
    this._reason = new ApiError(said, 'server_away', '', 0);
    this.setState('away');
    this.timer = window.setTimeout(() => this.start(this.phrases), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  private received(message: Message): void {
    switch (message.type) {
      case 'hello':
        this.greeted(message.last);
        break;
      case 'event':
        this.last = message.event.id;
        this._event.emit(message.event);
        break;
      case 'away':
        this._reason = new ApiError(message.message, 'control_plane_away', message.hint, 503);
        this.setState('away');
        break;
      case 'back':
        this.setState('live');
        break;
      default:
        this.logReceived(message);
    }
  }

  /** A second hello of one socket: the platform was restored from a backup and counts anew. */
  private greeted(last: number): void {
    const begins = this.last === null || this.hasGreeting;
    this.last = begins ? last : this.last;
    this.hasGreeting = true;
    this.setState('live');
    if (begins) {
      this._begun.emit();
    }
  }

  private logReceived(message: Extract<Message, { id: string }>): void {
    const log = this.logs.get(message.id);
    if (!log) {
      return;
    }
    if (message.type === 'logs.data') {
      log.request.offset = message.offset;
      log.reader.data({ text: message.text, offset: message.offset });
      return;
    }
    this.logs.delete(message.id);
    if (message.type === 'logs.end') {
      log.reader.end();
    } else {
      log.reader.error(ApiError.from(message, 400));
    }
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  private setState(state: FeedState): void {
    if (state === 'live') {
      this._reason = null;
    }
    if (state !== this._state) {
      this._state = state;
      this._stateChanged.emit(state);
    }
  }

  private phrases = new Phrases();
  private socket: WebSocket | null = null;
  private last: number | null = null;
  private hasGreeting = false;
  private timer = 0;
  private wait = SHORTEST_WAIT;
  private readonly logs = new Map<string, OpenLog>();
  private _state: FeedState = 'connecting';
  private _reason: ApiError | null = null;
  private _isDisposed = false;
  private readonly _event = new Signal<this, Event>(this);
  private readonly _begun = new Signal<this, void>(this);
  private readonly _stateChanged = new Signal<this, FeedState>(this);
}
