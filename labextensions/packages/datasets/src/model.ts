import { all, IAtelier, unwrap } from '@atelier/api';
import { LiveList } from '@atelier/ui';

import { Source } from './sources';
import { Transfer, WorkspaceTransfer, WorkspaceVersion } from './transfer';
import { Upload } from './upload';

const LIST = '/projects/{project}/datasets';
const ONE = '/projects/{project}/datasets/{dataset}';
const VERSIONS = '/projects/{project}/datasets/{dataset}/versions';
const VERSION = '/projects/{project}/datasets/{dataset}/versions/{version}';

/** What a dataset is called and what it is about. */
export interface Description {
  name: string;
  description: string;
  tags: string[];
}

/** The calls about datasets of one project. */
export class DatasetsClient {
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

  get(dataset: string) {
    return unwrap(this.atelier.rest.GET(ONE, { params: { path: this.path(dataset) } }));
  }

  create(body: Description) {
    return unwrap(this.atelier.rest.POST(LIST, { params: { path: { project: this.project } }, body }));
  }

  versions(dataset: string) {
    return all(cursor =>
      this.atelier.rest.GET(VERSIONS, { params: { path: this.path(dataset), query: { cursor, limit: 200 } } })
    );
  }

  addVersion(
    dataset: string,
    version: { files?: { path: string; size: number; digest: string }[]; uri?: string }
  ) {
    const body = { uri: '', note: '', ...version };
    return unwrap(this.atelier.rest.POST(VERSIONS, { params: { path: this.path(dataset) }, body }));
  }

  files(dataset: string, version: number, cursor?: string) {
    return unwrap(
      this.atelier.rest.GET(`${VERSION}/files`, {
        params: { path: this.path(dataset, version), query: { cursor, limit: 200 } }
      })
    );
  }

  preview(dataset: string, version: number, path: string) {
    return unwrap(
      this.atelier.rest.GET(`${VERSION}/preview`, {
        params: { path: this.path(dataset, version), query: { path } }
      })
    );
  }

  /** A file's bytes, for what the browser shows by itself. */
  content(dataset: string, version: number, path: string): Promise<Blob> {
    return unwrap(
      this.atelier.rest.GET(`${VERSION}/content`, {
        params: { path: this.path(dataset, version), query: { path } },
        parseAs: 'blob'
      })
    ) as Promise<Blob>;
  }

  /** Remove it with all versions. `force` also where finished runs have used it. */
  remove({ name, version }: { name: string; version: number }, force: boolean) {
    const params = { path: this.path(name), query: { force }, header: { 'if-match': `"${version}"` } };
    return unwrap(this.atelier.rest.DELETE(ONE, { params }));
  }

  removeVersion(dataset: string, version: number, force: boolean) {
    const params = { path: this.path(dataset, version), query: { force } };
    return unwrap(this.atelier.rest.DELETE(VERSION, { params }));
  }

  private path(dataset: string): { project: string; dataset: string };
  private path(dataset: string, version: number): { project: string; dataset: string; version: string };
  private path(dataset: string, version?: number) {
    return { project: this.project, dataset, ...(version ? { version: String(version) } : {}) };
  }
}

export type Dataset = Awaited<ReturnType<DatasetsClient['get']>>;
export type Version = Awaited<ReturnType<DatasetsClient['versions']>>[number];
export type Preview = Awaited<ReturnType<DatasetsClient['preview']>>;
export type DatasetFile = Awaited<ReturnType<DatasetsClient['files']>>['items'][number];

/** The datasets of the current project, and what is on its way into them. */
export class DatasetsModel extends LiveList<Dataset> {
  constructor(atelier: IAtelier) {
    super(atelier, ['dataset']);
  }

  uploads: readonly Transfer[] = [];

  get client(): DatasetsClient {
    return new DatasetsClient(this.atelier, this.atelier.project);
  }

  protected list(): Promise<Dataset[]> {
    return this.client.list();
  }

  /** Send files as a new version of a dataset. */
  upload(client: DatasetsClient, dataset: string, sources: Source[]): Promise<void> {
    const upload = new Upload(this.atelier, client.project, dataset, sources, files =>
      client.addVersion(dataset, { files })
    );
    return this.follow(upload);
  }

  /** Let the server send what it has itself; throws where it refuses, and goes on by itself where it does not. */
  async send(wanted: WorkspaceVersion): Promise<void> {
    const transfer = new WorkspaceTransfer(this.atelier, wanted);
    await transfer.begin();
    if (transfer.state === 'failed') {
      throw transfer.error;
    }
    void this.follow(transfer);
  }

  private follow(transfer: Transfer): Promise<void> {
    if (transfer.state !== 'done') {
      this.uploads = [...this.uploads, transfer];
      transfer.changed.connect(() => this.uploading(transfer));
      this._changed.emit();
    }
    return transfer.run();
  }

  /** Take a failed or cancelled upload off the list. */
  forget(upload: Transfer): void {
    upload.cancel();
    this.uploads = this.uploads.filter(one => one !== upload);
    this._changed.emit();
  }

  private uploading(upload: Transfer): void {
    if (upload.state === 'done') {
      this.uploads = this.uploads.filter(one => one !== upload);
    }
    this._changed.emit();
  }
}
