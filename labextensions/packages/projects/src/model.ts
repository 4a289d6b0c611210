import { all, IAtelier, Project, unwrap } from '@atelier/api';
import { ISignal, Signal } from '@lumino/signaling';

/** The projects that the person may see. */
export class ProjectsModel {
  constructor(private readonly atelier: IAtelier) {
    atelier.feed.event.connect(
      (_, event) => ['project', 'member'].includes(event.subject_kind) && this.again()
    );
    atelier.feed.begun.connect(() => this.again());
    atelier.projectChanged.connect(() => this._changed.emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get projects(): readonly Project[] {
    return this._projects;
  }

  get error(): unknown {
    return this._error;
  }

  /** The project that panels show, once the list is there. */
  get current(): Project | undefined {
    return this._projects.find(project => project.name === this.atelier.project);
  }

  /** Ask, unless that has been done; a project that is gone is left. */
  async load(again = false): Promise<void> {
    if (this.loaded && !again) {
      return;
    }
    this.loaded = true;
    try {
      this._projects = await all(cursor =>
        this.atelier.rest.GET('/projects', { params: { query: { cursor, limit: 200 } } })
      );
      this._error = null;
      if (this.atelier.project && !this.current) {
        this.atelier.project = (await this.atelier.info).project;
      }
    } catch (error) {
      this.loaded = false;
      this._error = error;
    }
    this._changed.emit();
  }

  /** A project of one's own; it becomes the current one. */
  async create(name: string, description: string): Promise<void> {
    const made = await unwrap(
      this.atelier.rest.POST('/projects', { body: { name, description, default_backend: '' } })
    );
    await this.load(true);
    this.atelier.project = made.name;
  }

  private again(): void {
    if (this.loaded) {
      void this.load(true);
    }
  }

  private loaded = false;
  private _projects: readonly Project[] = [];
  private _error: unknown = null;
  private readonly _changed = new Signal<this, void>(this);
}
