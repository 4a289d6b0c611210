import { all, Event, IAtelier, unwrap } from '@atelier/api';
import { ISignal, Signal } from '@lumino/signaling';

/** A secret without its value: that never comes back. */
export interface Secret {
  name: string;
  changed_at: string;
  changed_by: string;
  version: number;
}

/** The names of the current project's secrets. */
export class SecretsModel {
  constructor(private readonly atelier: IAtelier) {
    atelier.feed.event.connect((_, event) => this.heard(event));
    atelier.projectChanged.connect(() => void this.load());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** None while nobody has asked. */
  secrets: readonly Secret[] | null = null;
  error: unknown = null;

  /** Ask, once somebody looks. */
  begin(): void {
    if (!this.wanted) {
      this.wanted = true;
      void this.load();
    }
  }

  async load(): Promise<void> {
    const { project } = this.atelier;
    if (!this.wanted || !project) {
      return;
    }
    try {
      const secrets = await all(cursor =>
        this.atelier.rest.GET('/projects/{project}/secrets', {
          params: { path: { project }, query: { cursor, limit: 200 } }
        })
      );
      this.secrets = project === this.atelier.project ? secrets : this.secrets;
      this.error = null;
    } catch (error) {
      this.secrets = null;
      this.error = error;
    }
    this._changed.emit();
  }

  async add(name: string, value: string): Promise<void> {
    const params = { path: { project: this.atelier.project } };
    await unwrap(this.atelier.rest.POST('/projects/{project}/secrets', { params, body: { name, value } }));
    await this.load();
  }

  async change(secret: Secret, value: string): Promise<void> {
    await unwrap(
      this.atelier.rest.PUT('/projects/{project}/secrets/{name}', {
        params: this.exactly(secret),
        body: { value }
      })
    );
    await this.load();
  }

  async remove(secret: Secret): Promise<void> {
    await unwrap(
      this.atelier.rest.DELETE('/projects/{project}/secrets/{name}', { params: this.exactly(secret) })
    );
    await this.load();
  }

  /** The version that was looked at: nobody overwrites what somebody else has changed meanwhile. */
  private exactly({ name, version }: Secret) {
    return { path: { project: this.atelier.project, name }, header: { 'if-match': `"${version}"` } };
  }

  private heard(event: Event): void {
    if (event.subject_kind === 'secret' && event.project === this.atelier.project) {
      void this.load();
    }
  }

  private wanted = false;
  private readonly _changed = new Signal<this, void>(this);
}
