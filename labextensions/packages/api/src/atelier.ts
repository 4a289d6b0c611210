import { ServerConnection } from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { local, RestClient, restClient, Speech } from './client';
import { Feed } from './feed';
import { Phrases } from './said';

/** What the server extension knows about itself and the platform. */
export interface Info {
  user: string;
  project: string;
  version: string;
  control_plane: {
    state: 'ok' | 'away' | 'refused' | 'mismatch';
    version: string;
    message: string;
    hint: string;
  };
}

/** The platform as every panel of this tab sees it. */
export interface IAtelier {
  /** The REST interface of the control plane. */
  readonly rest: RestClient;
  /** Events and logs over the tab's one websocket. */
  readonly feed: Feed;
  /** The project that panels show and new runs belong to. */
  project: string;
  readonly projectChanged: ISignal<IAtelier, string>;
  /** The person's language as files are named by it, such as `zh_CN`; empty: English. */
  readonly language: string;
  /** What the server says of itself; resolved once it was asked. */
  readonly info: Promise<Info>;
  /** A route of the server extension: `local('run', {…})` posts, without a body it gets. */
  local<T>(path: string, body?: unknown): Promise<T>;
}

export const IAtelier = new Token<IAtelier>(
  '@atelier/api:IAtelier',
  "The platform's REST interface, its event feed and the current project."
);

/** The one connection of a tab. */
export class Atelier implements IAtelier {
  readonly rest: RestClient;
  readonly feed: Feed;
  readonly info: Promise<Info>;

  constructor(
    private readonly settings: ServerConnection.ISettings,
    readonly language = '',
    private readonly speech: Speech = Phrases.load(language)
  ) {
    this.rest = restClient(settings, speech);
    this.feed = new Feed(settings);
    this.info = new Promise((resolve, reject) => {
      this.ask = () => void this.local<Info>('info').then(resolve, reject);
    });
    this.info.then(info => (this.project ||= info.project)).catch(() => undefined);
  }

  /** Say hello and open the feed; called once Lab itself is there, so that it waits for nothing of ours. */
  start(): void {
    this.ask();
    void this.speech.then(phrases => this.feed.start(phrases));
  }

  get project(): string {
    return this._project;
  }

  set project(name: string) {
    if (name !== this._project) {
      this._project = name;
      this._projectChanged.emit(name);
    }
  }

  get projectChanged(): ISignal<this, string> {
    return this._projectChanged;
  }

  local<T>(path: string, body?: unknown): Promise<T> {
    return local<T>(this.settings, this.speech, path, body);
  }

  private ask: () => void = () => undefined;
  private _project = '';
  private readonly _projectChanged = new Signal<this, string>(this);
}
