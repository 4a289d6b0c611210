import { ApiError, IAtelier, Problem, Run } from '@atelier/api';
import { UUID } from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { PipelineDocument } from '../document/document';
import { Edit } from '../document/edits';
import { Edge, edgesOf } from '../document/graph';
import { Json } from '../document/types';
import { TemplateCatalog } from './catalog';
import { PipelineFile } from './file';
import { FINAL, LiveRun, newestRun } from './live';
import { PipelineSettings } from './settings';

/** Where a pipeline comes from: an open file, or a revision that only is looked at. */
export interface Home {
  readonly model: PipelineFile;
  readonly path: string;
  readonly localPath: string;
  save(): Promise<void>;
}

/** What the panel below the canvas shows. */
export type BottomTab = 'problems' | 'log' | 'results';

/** What is selected; steps and comments by id. */
export interface Selection {
  ids: ReadonlySet<string>;
  edges: readonly string[];
}

/** A field that is to be looked at: where a problem is. */
export interface FieldFocus {
  node: string;
  field: string;
}

const NOTHING: Selection = { ids: new Set(), edges: [] };
const CHECK_AFTER = 600;

/** One view of a pipeline: what is selected, what is wrong, and the run that it shows. */
export class PipelineView implements IDisposable {
  constructor(
    readonly atelier: IAtelier,
    readonly catalog: TemplateCatalog,
    readonly context: Home,
    readonly settings: PipelineSettings
  ) {
    this.file.documentChanged.connect(this.onDocument, this);
    atelier.feed.stateChanged.connect(this.onFeed, this);
  }

  get file(): PipelineFile {
    return this.context.model;
  }

  get document(): PipelineDocument {
    return this.file.document;
  }

  /** Whether the steps may be changed here. */
  get readOnly(): boolean {
    return this.file.readOnly || !this.document.editable || this.file.broken !== '';
  }

  /** Emitted on anything but the document and the steps of the run. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when a field is to be looked at. */
  get fieldAsked(): ISignal<this, FieldFocus> {
    return this._fieldAsked;
  }

  /** Emitted when these steps are to be brought into view; none means all. */
  get showAsked(): ISignal<this, readonly string[]> {
    return this._showAsked;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  // What is selected.

  get selection(): Selection {
    return this._selection;
  }

  set selection(selection: Selection) {
    this._selection = selection;
    this._changed.emit();
  }

  /** Select steps and nothing else. */
  select(ids: Iterable<string>): void {
    this.selection = { ids: new Set(ids), edges: [] };
  }

  /** The one selected step, or null. */
  get current(): string | null {
    const [only, ...more] = this._selection.ids;
    return only && !more.length && this.document.node(only) ? only : null;
  }

  /** The selected edges as they are drawn. */
  get selectedEdges(): Edge[] {
    const wanted = new Set(this._selection.edges);
    return wanted.size ? edgesOf(this.document).filter(edge => wanted.has(edge.id)) : [];
  }

  /** Bring steps into view. */
  show(ids: readonly string[] = []): void {
    this._showAsked.emit(ids);
  }

  /** Go to where a problem is. */
  goTo(focus: FieldFocus): void {
    if (focus.node) {
      this.select([focus.node]);
      this.show([focus.node]);
    } else {
      this.selection = NOTHING;
    }
    this._fieldAsked.emit(focus);
  }

  /** Change the document, unless it is read-only. */
  edit(edit: Edit, key = ''): void {
    if (!this.readOnly) {
      this.file.edit(edit, key);
    }
  }

  // The panel below.

  get bottomTab(): BottomTab | null {
    return this._bottomTab;
  }

  set bottomTab(tab: BottomTab | null) {
    if (tab !== this._bottomTab) {
      this._bottomTab = tab;
      this._changed.emit();
    }
  }

  /** Whether the box that finds steps is open. */
  get searching(): boolean {
    return this._searching;
  }

  set searching(searching: boolean) {
    this._searching = searching;
    this._changed.emit();
  }

  // What is wrong.

  get problems(): readonly Problem[] {
    return this._problems;
  }

  /** Why it could not be checked, or null. */
  get checkError(): ApiError | null {
    return this._checkError;
  }

  /** How many problems a step has. */
  problemsOf(node: string): number {
    return this.counts.get(node) ?? 0;
  }

  /** Ask the platform what is wrong with the document as it stands. */
  async check(): Promise<void> {
    window.clearTimeout(this.timer);
    const document = this.document;
    const asked = ++this.checks;
    try {
      const body = { path: this.context.localPath, document: document.raw, project: this.project };
      const { problems } = await this.atelier.local<{ problems: Problem[] }>('local/check', body);
      this.checked(asked, problems, null);
    } catch (error) {
      this.checked(asked, this._problems, error instanceof ApiError ? error : null);
    }
  }

  /** The project that runs of this file belong to. */
  get project(): string {
    return this.atelier.project;
  }

  // The run that is shown.

  get live(): LiveRun | null {
    return this._live;
  }

  /** Show a run on the steps; null shows none. */
  showRun(run: Run | null): void {
    this._live?.dispose();
    this._live = run ? new LiveRun(this.atelier, run) : null;
    this._live?.runChanged.connect(() => this._changed.emit());
    this._changed.emit();
    void this._live?.refresh().catch(() => undefined);
  }

  /** Save the file and run it; the answer is the run, which is shown from then on. */
  async run(parameters: Record<string, Json>, on: string): Promise<Run> {
    if (this.file.dirty) {
      await this.context.save();
    }
    const run = await this.atelier.local<Run>('local/run', {
      path: this.context.localPath,
      parameters,
      on,
      project: this.project,
      idempotency_key: UUID.uuid4()
    });
    this.showRun(run);
    return run;
  }

  /** Show the file's newest run, if it has one and none is shown yet. */
  async restoreRun(): Promise<void> {
    if (this._live && !FINAL.has(this._live.run.state)) {
      return;
    }
    const id = String(this.document.raw.id ?? '');
    const run = await newestRun(this.atelier, this.project, this.context.localPath, id);
    if (run && !this._isDisposed && run.id !== this._live?.run.id) {
      this.showRun(run);
    }
  }

  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this.timer);
    this._live?.dispose();
    Signal.clearData(this);
  }

  private onDocument(): void {
    const { ids } = this._selection;
    const gone = [...ids].some(id => !this.document.node(id));
    if (gone && this._selection !== NOTHING) {
      const comments = new Set(this.commentIds());
      const kept = [...ids].filter(id => this.document.node(id) || comments.has(id));
      if (kept.length !== ids.size) {
        this._selection = { ids: new Set(kept), edges: [] };
      }
    }
    this._changed.emit();
    if (this.settings.choices.checkWhileEditing) {
      this.checkSoon();
    }
  }

  private commentIds(): string[] {
    const ui = this.document.appData.ui_data as { comments?: { id: string }[] } | undefined;
    return (ui?.comments ?? []).map(comment => comment.id);
  }

  private checkSoon(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.check(), CHECK_AFTER);
  }

  private checked(asked: number, problems: readonly Problem[], error: ApiError | null): void {
    if (asked !== this.checks || this._isDisposed) {
      return;
    }
    this._problems = problems;
    this._checkError = error;
    this.counts = new Map();
    for (const problem of problems) {
      this.counts.set(problem.node, (this.counts.get(problem.node) ?? 0) + 1);
    }
    this._changed.emit();
  }

  private onFeed(): void {
    if (this.atelier.feed.state === 'live' && this._checkError) {
      this.checkSoon();
    }
  }

  private _selection: Selection = NOTHING;
  private _searching = false;
  private _bottomTab: BottomTab | null = null;
  private _problems: readonly Problem[] = [];
  private _checkError: ApiError | null = null;
  private counts = new Map<string, number>();
  private checks = 0;
  private timer = 0;
  private _live: LiveRun | null = null;
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _fieldAsked = new Signal<this, FieldFocus>(this);
  private readonly _showAsked = new Signal<this, readonly string[]>(this);
}
