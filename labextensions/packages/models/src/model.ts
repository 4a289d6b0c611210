import { all, IAtelier, unwrap } from '@atelier/api';
import { LiveList } from '@atelier/ui';

const LIST = '/projects/{project}/models';
const ONE = '/projects/{project}/models/{model}';
const VERSIONS = '/projects/{project}/models/{model}/versions';
const VERSION = '/projects/{project}/models/{model}/versions/{version}';
const ALIAS = '/projects/{project}/models/{model}/aliases/{alias}';

/** What of a run becomes a version. */
export interface Output {
  run: string;
  step: string;
  output: string;
}

/** The calls about models of one project. */
export class ModelsClient {
  constructor(
    private readonly atelier: IAtelier,
    readonly project: string
  ) {}

  list() {
    const { project } = this;
    return all(cursor =>
      this.atelier.rest.GET(LIST, { params: { path: { project }, query: { cursor, limit: 200 } } })
    );
  }

  get(model: string) {
    return unwrap(this.atelier.rest.GET(ONE, { params: { path: this.path(model) } }));
  }

  describe({ name, version }: { name: string; version: number }, description: string) {
    const params = { path: this.path(name), header: { 'if-match': `"${version}"` } };
    return unwrap(this.atelier.rest.PATCH(ONE, { params, body: { description } }));
  }

  /** A new version of what a step left; the one that is there if it is the same. */
  register(model: string, source: Output, note: string) {
    return unwrap(
      this.atelier.rest.POST(VERSIONS, { params: { path: this.path(model) }, body: { source, note } })
    );
  }

  /** The server sends a folder of the workspace by itself. */
  send(folder: { name: string; note: string; path: string }): Promise<{ number: number }> {
    return this.atelier.local('local/model', { project: this.project, ...folder });
  }

  versions(model: string) {
    return all(cursor =>
      this.atelier.rest.GET(VERSIONS, { params: { path: this.path(model), query: { cursor, limit: 200 } } })
    );
  }

  version(model: string, version: number) {
    const path = { ...this.path(model), version: String(version) };
    return unwrap(this.atelier.rest.GET(VERSION, { params: { path } }));
  }

  setAlias(model: string, alias: string, version: number) {
    const path = { ...this.path(model), alias };
    return unwrap(this.atelier.rest.PUT(ALIAS, { params: { path }, body: { version } }));
  }

  removeAlias(model: string, alias: string) {
    const path = { ...this.path(model), alias };
    return unwrap(this.atelier.rest.DELETE(ALIAS, { params: { path } }));
  }

  approve(model: string, version: number, note: string) {
    return unwrap(
      this.atelier.rest.PUT(`${VERSION}/approval`, {
        params: { path: this.numbered(model, version) },
        body: { note }
      })
    );
  }

  revoke(model: string, version: number) {
    return unwrap(
      this.atelier.rest.DELETE(`${VERSION}/approval`, { params: { path: this.numbered(model, version) } })
    );
  }

  /** Remove it with all versions. `force` also where something stood on it. */
  remove({ name, version }: { name: string; version: number }, force: boolean) {
    const params = { path: this.path(name), query: { force }, header: { 'if-match': `"${version}"` } };
    return unwrap(this.atelier.rest.DELETE(ONE, { params }));
  }

  removeVersion(model: string, version: number, force: boolean) {
    const params = { path: this.numbered(model, version), query: { force } };
    return unwrap(this.atelier.rest.DELETE(VERSION, { params }));
  }

  private path(model: string) {
    return { project: this.project, model };
  }

  private numbered(model: string, version: number) {
    return { project: this.project, model, version };
  }
}

export type Model = Awaited<ReturnType<ModelsClient['get']>>;
export type Version = Awaited<ReturnType<ModelsClient['versions']>>[number];
export type VersionDetail = Awaited<ReturnType<ModelsClient['version']>>;

/** The models of the current project. */
export class ModelsModel extends LiveList<Model> {
  constructor(atelier: IAtelier) {
    super(atelier, ['model']);
  }

  protected list(): Promise<Model[]> {
    return new ModelsClient(this.atelier, this.atelier.project).list();
  }
}

/** How a version is named where it is used: by an alias while it has one, else by number. */
export function referenceOf(model: string, version: { number: number; aliases: string[] }): string {
  const [alias] = version.aliases;
  return alias ? `models:/${model}@${alias}` : `models:/${model}/${version.number}`;
}
