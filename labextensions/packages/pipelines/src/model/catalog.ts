import { IAtelier, TemplateBody, unwrap } from '@atelier/api';
import { inWords } from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

import { declaredPorts, TemplateSummary } from '../document/ports';
import { extras } from '../document/step';
import { JsonObject, PipelineNode, text } from '../document/types';

/** A template with its parameter form and its documentation. */
export interface Template extends TemplateSummary {
  /** JSON Schema of its parameters, with `x-ui` hints. */
  parameters: JsonObject;
  readme: string;
  /** What holds where a step says nothing of its own, as `app_data.atelier` has it. */
  settings: JsonObject;
}

/** An image that steps may run in. */
export interface Image {
  name: string;
  reference: string;
  description: string;
}

/** Where runs may go. */
export interface BackendChoice {
  name: string;
  isDefault: boolean;
}

function settingsOf(body: TemplateBody): JsonObject {
  const { image, resources, replicas, topology, retry, timeout } = body;
  const { cpu, memory, accelerators } = resources;
  return {
    image,
    replicas,
    topology,
    resources: {
      cpu: cpu ?? null,
      memory: memory ? mebibytes(memory) : null,
      accelerators: accelerators ?? null
    },
    retry: { limit: retry.limit ?? null, causes: retry.causes ?? null },
    timeout: timeout ? `${timeout}s` : null
  };
}

/** Bytes as Kubernetes writes them. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)}Mi`;
}

/** What steps are made of: templates, images and back ends; asked for once, when a canvas opens. */
export class TemplateCatalog {
  constructor(
    private readonly atelier: IAtelier,
    private readonly trans: TranslationBundle
  ) {}

  /** Emitted when there is more to know. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether the templates are there. */
  get isReady(): boolean {
    return this.ready;
  }

  get templates(): readonly TemplateSummary[] {
    return this._templates;
  }

  get images(): readonly Image[] {
    return this._images;
  }

  get backends(): readonly BackendChoice[] {
    return this._backends;
  }

  /** Ask for what is there; asks again only after it failed. */
  load(): Promise<void> {
    this.loading ??= this.ask().catch(error => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  /** The template of a step, as far as it is known. */
  templateOf(node: PipelineNode): TemplateSummary | undefined {
    const name = text(extras(node).template);
    return name ? this.byName.get(name) : this.byOp.get(text(node.op));
  }

  /** The template with its form. */
  detail(name: string): Promise<Template> {
    const known = this.details.get(name);
    if (known) {
      return known;
    }
    const params = { path: { name }, query: { language: this.atelier.language } };
    const asked = unwrap(this.atelier.rest.GET('/templates/{name}', { params })).then(body => ({
      ...summary(this.trans, body),
      parameters: inWords(this.trans, body.parameters as JsonObject),
      readme: body.readme,
      settings: settingsOf(body)
    }));
    this.details.set(name, asked);
    asked.catch(() => this.details.delete(name));
    return asked;
  }

  /** Where runs of a project go unless somebody says otherwise; the platform decides where it is not known. */
  async defaultBackend(project: string): Promise<string> {
    try {
      const params = { path: { project } };
      const { default_backend } = await unwrap(this.atelier.rest.GET('/projects/{project}', { params }));
      return default_backend || (this._backends.find(one => one.isDefault)?.name ?? '');
    } catch {
      return '';
    }
  }

  private async ask(): Promise<void> {
    const [templates, images, backends] = await Promise.all([
      listTemplates(this.atelier),
      unwrap(this.atelier.rest.GET('/images')),
      unwrap(this.atelier.rest.GET('/backends'))
    ]);
    this._templates = templates.items.map(one => summary(this.trans, one));
    this.byName = new Map(this._templates.map(one => [one.name, one]));
    this.byOp = new Map(this._templates.map(one => [one.op, one]));
    this._images = inWords(this.trans, images.items).map(({ name, reference, description }) => ({
      name,
      reference,
      description
    }));
    this._backends = backends.items.map(one => ({ name: one.name, isDefault: one.default }));
    this.ready = true;
    this._changed.emit();
  }

  private ready = false;
  private loading: Promise<void> | null = null;
  private _templates: TemplateSummary[] = [];
  private _images: Image[] = [];
  private _backends: BackendChoice[] = [];
  private byName: ReadonlyMap<string, TemplateSummary> = new Map();
  private byOp: ReadonlyMap<string, TemplateSummary> = new Map();
  private readonly details = new Map<string, Promise<Template>>();
  private readonly _changed = new Signal<this, void>(this);
}

function listTemplates(atelier: IAtelier) {
  return unwrap(atelier.rest.GET('/templates'));
}

type Listed = Awaited<ReturnType<typeof listTemplates>>['items'][number];

function summary(trans: TranslationBundle, body: Listed): TemplateSummary {
  const { name, version, stage, image, op } = body;
  const said = inWords(trans, body);
  const label = body.label || spoken(name);
  return {
    name,
    version,
    stage,
    category: said.category,
    description: said.description,
    image,
    op,
    label,
    title: said.label || label,
    inputs: declaredPorts(said.inputs as JsonObject),
    outputs: declaredPorts(said.outputs as JsonObject)
  };
}

function spoken(name: string): string {
  const words = name.replace(/-/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
