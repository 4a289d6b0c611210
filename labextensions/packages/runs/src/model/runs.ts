import { Event, IAtelier, Run, State, unwrap } from '@atelier/api';
import { Retry } from '@atelier/ui';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Batch } from './batch';

const PAGE = 50;
const FETCH_AFTER = 300;
const SEARCHED_PAGES = 10;

/**
 * The runs of the current project, newest first, as far as somebody has scrolled.
 *
 * Events keep it true: what they name is asked for again, and nothing else.
 */
export class RunsModel implements IDisposable {
  constructor(private readonly atelier: IAtelier) {
    atelier.feed.event.connect(this.heard, this);
    atelier.feed.begun.connect(this.reset, this);
    atelier.projectChanged.connect(this.reset, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the filter lets through. */
  get visible(): readonly Run[] {
    return this._visible;
  }

  get state(): State | '' {
    return this._state;
  }

  get busy(): boolean {
    return this._busy;
  }

  get error(): unknown {
    return this._error;
  }

  /** Whether the project has no run at all, as far as can be told. */
  get empty(): boolean {
    return this.loaded && !this._state && this.runs.size === 0;
  }

  /** Load the first page, once somebody looks. */
  begin(): void {
    this.wanted = true;
    if (!this.loaded && !this._busy) {
      void this.more();
    }
  }

  /** Only runs in this state; all for an empty one. */
  filterState(state: State | ''): void {
    this._state = state;
    this.reset();
  }

  /** Only runs in whose name, number or author the text stands. */
  filterText(text: string): void {
    this.text = text.trim().toLowerCase();
    this.show();
    void this.fill();
  }

  /** Everything again from the first page on. */
  reset(): void {
    this.turn += 1;
    this.runs.clear();
    this.batch.clear();
    this.cursor = undefined;
    this.loaded = false;
    this._busy = false;
    this.show();
    if (this.wanted) {
      void this.more();
    }
  }

  /** The next page, if there is one. */
  async more(): Promise<void> {
    const { project } = this.atelier;
    if (this._busy || !project || (this.loaded && !this.cursor)) {
      return;
    }
    const turn = this.turn;
    this._busy = true;
    this._changed.emit();
    try {
      const page = await unwrap(
        this.atelier.rest.GET('/projects/{project}/runs', {
          params: {
            path: { project },
            query: { limit: PAGE, cursor: this.cursor, state: this._state || undefined }
          }
        })
      );
      if (turn === this.turn) {
        // What an event has brought meanwhile is newer.
        page.items.filter(run => !this.runs.has(run.id)).forEach(run => this.runs.set(run.id, run));
        this.cursor = page.next ?? undefined;
        this.loaded = true;
        this._error = null;
      }
    } catch (error) {
      this._error = turn === this.turn ? error : this._error;
    }
    this.retry.told(this._error);
    if (turn === this.turn) {
      this._busy = false;
      this.show();
    }
  }

  /** A run that is known, wherever it came from. */
  get(id: string): Run | undefined {
    return this.runs.get(id);
  }

  /** What an action answered. */
  take(run: Run): void {
    if (run.project === this.atelier.project) {
      this.runs.set(run.id, run);
      this.show();
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this.batch.clear();
    this.retry.stop();
    this.atelier.feed.event.disconnect(this.heard, this);
    this.atelier.feed.begun.disconnect(this.reset, this);
    this.atelier.projectChanged.disconnect(this.reset, this);
    Signal.clearData(this);
  }

  private heard(_: unknown, event: Event): void {
    if (!this.wanted || event.project !== this.atelier.project) {
      return;
    }
    if (event.subject_kind === 'run') {
      this.patch(event);
      this.batch.add(event.subject);
    } else if (event.subject_kind === 'step' && this.runs.has(String(event.data.run))) {
      this.batch.add(String(event.data.run));
    }
  }

  /** What an event itself says, so that nobody waits for the answer. */
  private patch(event: Event): void {
    const run = this.runs.get(event.subject);
    const { state, reason, message } = event.data;
    if (run && typeof state === 'string') {
      this.runs.set(run.id, {
        ...run,
        state: state as State,
        reason: String(reason ?? ''),
        message: String(message ?? '')
      });
      this.show();
    }
  }

  private async fetch(ids: string[]): Promise<void> {
    const { project } = this.atelier;
    const turn = this.turn;
    const asked = ids.map(run =>
      unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}', { params: { path: { project, run } } }))
    );
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === 'fulfilled' && turn === this.turn) {
        this.runs.set(answer.value.id, answer.value);
      }
    }
    this.show();
  }

  /** A text may stand in few runs: look through some more pages for it. */
  private async fill(): Promise<void> {
    for (let page = 0; page < SEARCHED_PAGES; page += 1) {
      if (!this.text || this._visible.length >= PAGE || !this.cursor || this._busy) {
        return;
      }
      await this.more();
    }
  }

  private show(): void {
    this._visible = [...this.runs.values()]
      .filter(run => !this._state || run.state === this._state)
      .filter(
        run => !this.text || `${run.name}\n${run.id}\n${run.created_by}`.toLowerCase().includes(this.text)
      )
      .sort((one, other) => other.created_at.localeCompare(one.created_at));
    this._changed.emit();
  }

  private readonly runs = new Map<string, Run>();
  private readonly batch = new Batch(ids => this.fetch(ids), FETCH_AFTER);
  private readonly retry = new Retry(() => void this.more());
  private cursor: string | undefined;
  private wanted = false;
  private loaded = false;
  private turn = 0;
  private text = '';
  private _state: State | '' = '';
  private _visible: readonly Run[] = [];
  private _busy = false;
  private _error: unknown = null;
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
}
