import { all, Event, IAtelier, unwrap } from '@atelier/api';
import { LiveList } from '@atelier/ui';

const LIST = '/projects/{project}/services';
const ONE = '/projects/{project}/services/{service}';
const KEYS = '/projects/{project}/service-keys';

/** A request for the test console; `path` is below the service's URL. */
export interface Prediction {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
  revision?: number;
}

/** What a service answered. */
export interface Answer {
  status: number;
  seconds: number;
  type: string;
  body: unknown;
}

/** The calls about services of one project. */
export class ServicesClient {
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

  get(service: string) {
    return unwrap(this.atelier.rest.GET(ONE, { params: { path: this.path(service) } }));
  }

  /** Deploy a definition; the same key twice is one deployment. */
  deploy(definition: Record<string, unknown>, key: string) {
    const { project } = this;
    const body = { definition, idempotency_key: key };
    return unwrap(this.atelier.rest.POST(LIST, { params: { path: { project } }, body }));
  }

  /** The newest fifty. */
  async revisions(service: string) {
    const params = { path: this.path(service), query: { limit: 50 } };
    return (await unwrap(this.atelier.rest.GET(`${ONE}/revisions`, { params }))).items;
  }

  async replicas(service: string) {
    const params = { path: this.path(service) };
    return (await unwrap(this.atelier.rest.GET(`${ONE}/replicas`, { params }))).items;
  }

  /** What the running replicas use now, by replica. */
  async usage(service: string) {
    const params = { path: this.path(service) };
    const { items } = await unwrap(this.atelier.rest.GET(`${ONE}/usage`, { params }));
    return new Map(items.map(usage => [usage.replica, usage]));
  }

  stats(service: string) {
    return unwrap(this.atelier.rest.GET(`${ONE}/stats`, { params: { path: this.path(service) } }));
  }

  /** How far what is asked of the revision that serves is from what its model was trained on. */
  drift(service: string) {
    return unwrap(this.atelier.rest.GET(`${ONE}/drift`, { params: { path: this.path(service) } }));
  }

  setTraffic({ name, version }: Named, shares: Record<string, number>) {
    return unwrap(
      this.atelier.rest.PUT(`${ONE}/traffic`, { params: this.edit(name, version), body: { shares } })
    );
  }

  /** Away from a trial or to the revision before; or to one that is named. */
  rollBack(service: string, revision: number | null) {
    const params = { path: this.path(service) };
    return unwrap(this.atelier.rest.POST(`${ONE}/rollback`, { params, body: { revision } }));
  }

  scale({ name, version }: Named, minimum: number, maximum: number) {
    const body = { minimum, maximum };
    return unwrap(this.atelier.rest.PUT(`${ONE}/replicas`, { params: this.edit(name, version), body }));
  }

  stop(service: string) {
    return unwrap(this.atelier.rest.POST(`${ONE}/stop`, { params: { path: this.path(service) } }));
  }

  start(service: string) {
    return unwrap(this.atelier.rest.POST(`${ONE}/start`, { params: { path: this.path(service) } }));
  }

  remove({ name, version }: Named) {
    return unwrap(this.atelier.rest.DELETE(ONE, { params: this.edit(name, version) }));
  }

  /** The keys that open a service. */
  async keys(service: string) {
    const { project } = this;
    const found = await all(cursor =>
      this.atelier.rest.GET(KEYS, { params: { path: { project }, query: { cursor, limit: 200 } } })
    );
    return found.filter(key => key.services.length === 0 || key.services.includes(service));
  }

  createKey(service: string, name: string, expires_at: string | null) {
    const { project } = this;
    const body = { name, services: [service], expires_at };
    return unwrap(this.atelier.rest.POST(KEYS, { params: { path: { project } }, body }));
  }

  revokeKey(key: string) {
    const { project } = this;
    return unwrap(this.atelier.rest.DELETE(`${KEYS}/{key}`, { params: { path: { project, key } } }));
  }

  /** One request, which the person's server sends with its own token. */
  ask(service: string, prediction: Prediction): Promise<Answer> {
    return this.atelier.local('local/predict', { project: this.project, service, ...prediction });
  }

  private path(service: string) {
    return { project: this.project, service };
  }

  private edit(service: string, version: number) {
    return { path: this.path(service), header: { 'if-match': `"${version}"` } };
  }
}

interface Named {
  name: string;
  version: number;
}

export type Service = Awaited<ReturnType<ServicesClient['get']>>;
export type Traffic = Service['traffic'][number];
export type Revision = Awaited<ReturnType<ServicesClient['revisions']>>[number];
export type Replica = Awaited<ReturnType<ServicesClient['replicas']>>[number];
export type Stats = Awaited<ReturnType<ServicesClient['stats']>>;
export type Drift = Awaited<ReturnType<ServicesClient['drift']>>;
export type InputDrift = Drift['inputs'][number];
export type ServiceKey = Awaited<ReturnType<ServicesClient['keys']>>[number];

/** The services of the current project; its events are also about keys. */
export class ServicesModel extends LiveList<Service> {
  constructor(atelier: IAtelier) {
    super(atelier, ['service', 'service_key']);
  }

  protected list(): Promise<Service[]> {
    return new ServicesClient(this.atelier, this.atelier.project).list();
  }
}

/** The name of the service that an event is about. */
export function nameIn(event: Event): string {
  return typeof event.data.name === 'string' ? event.data.name : '';
}
