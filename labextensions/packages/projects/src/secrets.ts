import { all, IAtelier, unwrap } from '@atelier/api';
import { LiveList } from '@atelier/ui';

/** A secret without its value: that never comes back. */
export interface Secret {
  name: string;
  changed_at: string;
  changed_by: string;
  version: number;
}

/** The names of the current project's secrets. */
export class SecretsModel extends LiveList<Secret> {
  constructor(atelier: IAtelier) {
    super(atelier, ['secret']);
  }

  protected list(): Promise<Secret[]> {
    const { project } = this.atelier;
    return all(cursor =>
      this.atelier.rest.GET('/projects/{project}/secrets', {
        params: { path: { project }, query: { cursor, limit: 200 } }
      })
    );
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
}
