import { all, Artifact, Event, IAtelier, Run, State, Step, StepUsage, unwrap } from '@atelier/api';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Batch } from './batch';

const FETCH_AFTER = 250;
const ONE_BY_ONE = 8;

/** One run with its steps and what they left, live. */
export class RunModel implements IDisposable {
  constructor(
    private readonly atelier: IAtelier,
    readonly project: string,
    readonly id: string
  ) {
    atelier.feed.event.connect(this.heard, this);
    atelier.feed.begun.connect(this.load, this);
    void this.load();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  run: Run | null = null;
  /** In the order of the document. */
  steps: readonly Step[] = [];
  artifacts: readonly Artifact[] = [];
  /** The pipeline's file, as it was called when the run began. */
  path = '';
  error: unknown = null;

  /** The step of a name. */
  step(name: string): Step | undefined {
    return this.steps.find(step => step.name === name);
  }

  /** Everything again. */
  async load(): Promise<void> {
    this.loading += 1;
    try {
      [this.run, this.steps, this.artifacts] = await Promise.all([
        this.getRun(),
        this.getSteps(),
        this.getArtifacts()
      ]);
      this.error = null;
      this._changed.emit();
      this.path = await this.getPath(this.run.revision);
    } catch (error) {
      this.error = error;
    }
    this.loading -= 1;
    this.missed.forEach(name => this.batch.add(name));
    this.missed.clear();
    this._changed.emit();
  }

  /** What the running steps use now, by step; nothing is asked while none runs. */
  async usage(): Promise<ReadonlyMap<string, StepUsage>> {
    if (!this.steps.some(step => step.state === 'running')) {
      return new Map();
    }
    const answer = this.atelier.rest.GET('/projects/{project}/runs/{run}/usage', { params: this.params });
    return new Map((await unwrap(answer)).items.map(usage => [usage.step, usage]));
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this.batch.clear();
    this.missed.clear();
    this.atelier.feed.event.disconnect(this.heard, this);
    this.atelier.feed.begun.disconnect(this.load, this);
    Signal.clearData(this);
  }

  private heard(_: unknown, event: Event): void {
    if (event.project !== this.project) {
      return;
    }
    const { state, reason, message, run, step } = event.data;
    const news = { state: state as State, reason: String(reason ?? ''), message: String(message ?? '') };
    if (event.subject === this.id) {
      this.run = this.run && typeof state === 'string' ? { ...this.run, ...news } : this.run;
      this.ask('');
    } else if (event.subject_kind === 'step' && run === this.id) {
      this.steps = this.steps.map(one => (one.name === step ? { ...one, ...news } : one));
      this.ask(String(step));
    } else {
      return;
    }
    this._changed.emit();
  }

  /** Ask for a step, or for the run alone; what is on its way already may be older. */
  private ask(name: string): void {
    if (this.loading) {
      this.missed.add(name);
    } else {
      this.batch.add(name);
    }
  }

  private async fetch(names: string[]): Promise<void> {
    const steps = names.filter(Boolean);
    const ended = steps.some(name => ['done', 'failed', 'stopped'].includes(this.step(name)?.state ?? ''));
    const few = steps.length <= ONE_BY_ONE;
    const [run, some, everything, artifacts] = await Promise.all([
      this.getRun(),
      few ? Promise.all(steps.map(name => this.getStep(name))) : [],
      few ? null : this.getSteps(),
      ended || this.run?.ended_at ? this.getArtifacts() : this.artifacts
    ]);
    const fresh = new Map(some.map(step => [step.name, step]));
    this.run = run;
    this.steps = everything ?? this.steps.map(step => fresh.get(step.name) ?? step);
    this.artifacts = artifacts;
    this._changed.emit();
  }

  private getRun(): Promise<Run> {
    return unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}', { params: this.params }));
  }

  private getSteps(): Promise<Step[]> {
    return all(cursor =>
      this.atelier.rest.GET('/projects/{project}/runs/{run}/steps', {
        params: { ...this.params, query: { cursor, limit: 200 } }
      })
    );
  }

  private getStep(step: string): Promise<Step> {
    const path = { ...this.params.path, step };
    return unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}/steps/{step}', { params: { path } }));
  }

  private async getArtifacts(): Promise<Artifact[]> {
    const answer = this.atelier.rest.GET('/projects/{project}/runs/{run}/artifacts', { params: this.params });
    return (await unwrap(answer)).items;
  }

  private async getPath(revision: string): Promise<string> {
    const path = { project: this.project, revision };
    const answer = this.atelier.rest.GET('/projects/{project}/revisions/{revision}', { params: { path } });
    return (await unwrap(answer)).path;
  }

  private get params() {
    return { path: { project: this.project, run: this.id } };
  }

  private readonly batch = new Batch(names => this.fetch(names), FETCH_AFTER);
  private readonly missed = new Set<string>();
  private loading = 0;
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
}
