import {
  all,
  Event,
  Feed,
  FeedState,
  IAtelier,
  QueuePlace,
  Run,
  State,
  Step,
  StepUsage,
  unwrap
} from '@atelier/api';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { JsonObject, number, object, text } from '../document/types';

/** States after which nothing more happens. */
export const FINAL: ReadonlySet<State> = new Set<State>(['done', 'failed', 'stopped', 'skipped']);
const SETTLE = 150;
const QUEUE_SETTLE = 1000;
// Others' runs, of whose ends this tab does not hear, leave the queue, too.
const QUEUE_AGAIN = 15_000;
const WAITING = 'WaitingForSlot';

/** A step, where it stands where it waits for room, and what it uses while it runs. */
export interface LiveStep extends Step {
  queue?: QueuePlace;
  usage?: StepUsage;
}

/** A run as it goes: its steps by node, kept true by the feed; after the platform was away it is read anew. */
export class LiveRun implements IDisposable {
  constructor(
    private readonly atelier: IAtelier,
    run: Run
  ) {
    this._run = run;
    atelier.feed.event.connect(this.onEvent, this);
    atelier.feed.stateChanged.connect(this.onFeed, this);
    atelier.feed.begun.connect(this.soon, this);
  }

  get run(): Run {
    return this._run;
  }

  get isOver(): boolean {
    return FINAL.has(this._run.state);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Emitted when the run itself changed. */
  get runChanged(): ISignal<this, Run> {
    return this._runChanged;
  }

  /** Emitted with the node whose step changed, or null for all. */
  get stepChanged(): ISignal<this, string | null> {
    return this._stepChanged;
  }

  /** The step that a node became. */
  step(node: string): LiveStep | undefined {
    return this.byNode.get(node);
  }

  get steps(): readonly LiveStep[] {
    return [...this.byNode.values()];
  }

  /** Read the run and its steps as they stand. */
  async refresh(): Promise<void> {
    const path = { project: this._run.project, run: this._run.id };
    this.hasNews = false;
    const [run, steps] = await Promise.all([
      unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}', { params: { path } })),
      all(cursor =>
        this.atelier.rest.GET('/projects/{project}/runs/{run}/steps', {
          params: { path, query: { limit: 500, cursor } }
        })
      )
    ]);
    if (this._isDisposed) {
      return;
    }
    this.byNode = new Map(steps.map(step => [step.node, step]));
    this.byName = new Map(steps.map(step => [step.name, step.node]));
    this._run = run;
    this._runChanged.emit(run);
    this._stepChanged.emit(null);
    this.queueSoon(0);
    if (this.hasNews) {
      this.soon(); // what was read may be older
    }
  }

  /** Ask for the run to end. */
  async cancel(): Promise<void> {
    const path = { project: this._run.project, run: this._run.id };
    await unwrap(this.atelier.rest.POST('/projects/{project}/runs/{run}/cancel', { params: { path } }));
  }

  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this.timer);
    window.clearTimeout(this.queueTimer);
    Signal.clearData(this);
  }

  private onEvent(_feed: Feed, event: Event): void {
    if (event.subject_kind === 'step' && event.subject.startsWith(`${this._run.id}/`)) {
      this.hasNews = true;
      this.moveStep(event);
    } else if (event.subject_kind === 'run' && event.subject === this._run.id) {
      this.hasNews = true;
      this.moveRun(event);
    }
  }

  private moveStep(event: Event): void {
    const data = object(event.data as JsonObject);
    const node = this.byName.get(text(data.step));
    const before = node === undefined ? undefined : this.byNode.get(node);
    if (node === undefined || !before) {
      this.soon();
      return;
    }
    const state = (text(data.state) || before.state) as State;
    const step: LiveStep = {
      ...before,
      queue: text(data.reason) === WAITING ? before.queue : undefined,
      usage: state === 'running' ? before.usage : undefined,
      state,
      reason: text(data.reason),
      message: text(data.message),
      attempt: number(data.attempt, before.attempt),
      exit_code: typeof data.exit_code === 'number' ? data.exit_code : before.exit_code,
      started_at: state === 'running' ? (before.started_at ?? event.at) : before.started_at,
      ended_at: FINAL.has(state) ? (before.ended_at ?? event.at) : before.ended_at
    };
    this.byNode.set(node, step);
    this._stepChanged.emit(node);
    this.queueSoon(QUEUE_SETTLE);
  }

  /** Look where waiting steps stand, as long as there are any and somebody sees it. */
  private queueSoon(after: number): void {
    window.clearTimeout(this.queueTimer);
    const waits = this.steps.some(step => step.state === 'queued' && step.reason === WAITING);
    if (waits && !this._isDisposed) {
      this.queueTimer = window.setTimeout(() => void this.lookAtQueue().catch(() => undefined), after);
    }
  }

  private async lookAtQueue(): Promise<void> {
    if (!document.hidden) {
      const path = { project: this._run.project, run: this._run.id };
      const answer = this.atelier.rest.GET('/projects/{project}/runs/{run}/queue', { params: { path } });
      const places = new Map((await unwrap(answer)).items.map(place => [place.step, place]));
      for (const [node, step] of this.byNode) {
        const queue = step.reason === WAITING ? places.get(step.name) : undefined;
        if (queue?.place !== step.queue?.place || queue?.of !== step.queue?.of) {
          this.byNode.set(node, { ...step, queue });
          this._stepChanged.emit(node);
        }
      }
    }
    this.queueSoon(QUEUE_AGAIN);
  }

  /** Look what the running steps use now; there is nothing to ask while none runs. */
  async lookAtUsage(): Promise<void> {
    const path = { project: this._run.project, run: this._run.id };
    const busy = this.steps.some(step => step.state === 'running');
    const answer = busy
      ? await unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}/usage', { params: { path } }))
      : { items: [] };
    const found = new Map(answer.items.map(usage => [usage.step, usage]));
    for (const [node, step] of this.byNode) {
      const usage = step.state === 'running' ? found.get(step.name) : undefined;
      if (usage?.at !== step.usage?.at || usage?.message !== step.usage?.message) {
        this.byNode.set(node, { ...step, usage });
        this._stepChanged.emit(node);
      }
    }
  }

  private moveRun(event: Event): void {
    const data = object(event.data as JsonObject);
    const state = (text(data.state) || this._run.state) as State;
    this._run = { ...this._run, state, reason: text(data.reason), message: text(data.message) };
    this._runChanged.emit(this._run);
    if (FINAL.has(state)) {
      this.soon();
    }
  }

  private onFeed(_feed: Feed, state: FeedState): void {
    if (state === 'live') {
      this.soon();
    }
  }

  private soon(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.refresh().catch(() => undefined), SETTLE);
  }

  private _run: Run;
  private byNode = new Map<string, LiveStep>();
  private byName = new Map<string, string>();
  private hasNews = false;
  private timer = 0;
  private queueTimer = 0;
  private _isDisposed = false;
  private readonly _runChanged = new Signal<this, Run>(this);
  private readonly _stepChanged = new Signal<this, string | null>(this);
}

/**
 * The newest run of a pipeline, or null: its revision was stored under the file's path and holds the document's own
 * id. Revisions used to be stored under the file's bare name.
 */
export async function newestRun(
  atelier: IAtelier,
  project: string,
  path: string,
  document: string
): Promise<Run | null> {
  const query = { path: [path, path.split('/').pop() ?? ''], document, limit: 1 };
  const answer = atelier.rest.GET('/projects/{project}/runs', { params: { path: { project }, query } });
  return (await unwrap(answer)).items[0] ?? null;
}

/** The document that a run was made of. */
export async function documentOf(atelier: IAtelier, run: Run): Promise<JsonObject> {
  const path = { project: run.project, revision: run.revision };
  const found = await unwrap(
    atelier.rest.GET('/projects/{project}/revisions/{revision}', { params: { path } })
  );
  return found.document as JsonObject;
}
