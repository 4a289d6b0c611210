import { UUID } from '@lumino/coreutils';

import { Json, JsonObject, object, objects, PipelineNode, RunParameter, text } from './types';

const SCHEMA =
  'http://api.dataplatform.ibm.com/schemas/common-pipeline/pipeline-flow/pipeline-flow-v3-schema.json';
export const APP_VERSION = 8;
export const DOCUMENT_VERSION = '3.0';

const ELYRA_TYPES: Readonly<Record<string, RunParameter['type']>> = {
  str: 'string',
  bool: 'boolean',
  int: 'integer',
  float: 'number',
  list: 'array',
  dict: 'object'
};

/** A `.pipeline` file that cannot be shown as one. */
export class NotAPipeline extends Error {}

/**
 * A `.pipeline` document as it stands in the file: Elyra's 3.0, `app_data.version` 8.
 *
 * It never changes; an edit makes another one that shares what is the same. Fields that are not known here stay.
 */
export class PipelineDocument {
  private constructor(readonly raw: JsonObject) {
    const pipelines = objects(raw.pipelines);
    const primary = text(raw.primary_pipeline) || 'primary';
    const found = pipelines.findIndex(one => one.id === primary);
    if (raw.doc_type !== 'pipeline' || found < 0) {
      throw new NotAPipeline('The file is JSON, but no pipeline.');
    }
    this.index = found;
    this.pipeline = pipelines[found];
    this.nodes = objects(this.pipeline.nodes) as PipelineNode[];
    this.byId = new Map(this.nodes.map(node => [node.id, node]));
  }

  /** Read a file; an empty one is an empty pipeline. Throws `NotAPipeline`. */
  static parse(source: string): PipelineDocument {
    if (!source.trim()) {
      return PipelineDocument.create();
    }
    let raw: Json;
    try {
      raw = JSON.parse(source) as Json;
    } catch (error) {
      throw new NotAPipeline((error as Error).message);
    }
    return PipelineDocument.of(object(raw));
  }

  /** The document in what JSON made of a file. Throws `NotAPipeline`. */
  static of(raw: JsonObject): PipelineDocument {
    return new PipelineDocument(raw);
  }

  /** A new, empty pipeline. */
  static create(name = ''): PipelineDocument {
    return new PipelineDocument({
      doc_type: 'pipeline',
      version: DOCUMENT_VERSION,
      json_schema: SCHEMA,
      id: UUID.uuid4(),
      primary_pipeline: 'primary',
      pipelines: [
        {
          id: 'primary',
          nodes: [],
          app_data: {
            ui_data: { comments: [] },
            version: APP_VERSION,
            properties: { name, runtime: 'Atelier' }
          },
          runtime_ref: ''
        }
      ],
      schemas: []
    });
  }

  /** The file's text. */
  toString(): string {
    return JSON.stringify(this.raw, null, 2) + '\n';
  }

  node(id: string): PipelineNode | undefined {
    return this.byId.get(id);
  }

  /** The same document with other nodes. */
  withNodes(nodes: PipelineNode[]): PipelineDocument {
    return this.withPipeline({ ...this.pipeline, nodes });
  }

  /** The same document with other settings of the pipeline (`app_data`). */
  withAppData(app_data: JsonObject): PipelineDocument {
    return this.withPipeline({ ...this.pipeline, app_data });
  }

  get appData(): JsonObject {
    return object(this.pipeline.app_data);
  }

  get properties(): JsonObject {
    return object(this.appData.properties);
  }

  /** `app_data.atelier` of the pipeline. */
  get extras(): JsonObject {
    return object(this.appData.atelier);
  }

  get name(): string {
    return text(this.properties.name);
  }

  /** What a run may be given: ours, and Elyra's pipeline parameters. */
  get parameters(): RunParameter[] {
    return [...objects(this.properties.pipeline_parameters), ...objects(this.extras.parameters)].map(
      fromElyra
    );
  }

  /** Whether this release may write it: other versions are shown, but not changed. */
  get editable(): boolean {
    return this.raw.version === DOCUMENT_VERSION && this.appData.version === APP_VERSION;
  }

  readonly pipeline: JsonObject;
  readonly nodes: PipelineNode[];

  private withPipeline(pipeline: JsonObject): PipelineDocument {
    const pipelines = [...objects(this.raw.pipelines)];
    pipelines[this.index] = pipeline;
    return new PipelineDocument({ ...this.raw, pipelines });
  }

  private readonly index: number;
  private readonly byId: ReadonlyMap<string, PipelineNode>;
}

function fromElyra(raw: JsonObject): RunParameter {
  const inner = object(raw.default_value);
  const shown = text(inner.type).toLowerCase() || text(raw.type) || 'string';
  const type = ELYRA_TYPES[shown] ?? shown;
  const value = 'default_value' in raw ? inner.value : raw.default;
  return { ...raw, type, default: value } as unknown as RunParameter;
}
