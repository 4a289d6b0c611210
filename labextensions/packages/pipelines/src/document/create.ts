import { UUID } from '@lumino/coreutils';

import { freeLabel } from './clipboard';
import { PipelineDocument } from './document';
import { TemplateSummary } from './ports';
import { nameOf } from './step';
import { IN_PORT, JsonObject, OUT_PORT, PipelineNode, Place } from './types';

const CATALOG = 'atelier-template-catalog';
const OPS: Readonly<Record<string, string>> = {
  ipynb: 'execute-notebook-node',
  py: 'execute-python-node',
  r: 'execute-r-node'
};

/** Whether the file can be a step. */
export function isStepFile(path: string): boolean {
  return extension(path) in OPS;
}

function extension(path: string): string {
  return (path.split('.').pop() ?? '').toLowerCase();
}

/** A new step of a template. */
export function templateNode(
  document: PipelineDocument,
  template: TemplateSummary,
  place: Place
): PipelineNode {
  const node = bare(document, template.op, template.label.toLowerCase(), place, {});
  node.app_data = {
    ...node.app_data,
    component_source: `{"catalog_type": "${CATALOG}", "component_ref": {"template": "${template.name}"}}`,
    atelier: { template: template.name, version: template.version }
  };
  return node;
}

/** What is known of a script or notebook that becomes a step. */
export interface FileStep {
  /** From the pipeline's own folder. */
  filename: string;
  image: string;
  outputs?: string[];
  /** What is ours in it: ports and parameters. */
  atelier?: JsonObject;
}

/** A new generic step; `op` is chosen by the file's extension. */
export function fileNode(document: PipelineDocument, file: FileStep, place: Place): PipelineNode {
  const name = (file.filename.split('/').pop() ?? '').replace(/\.[^.]+$/, '');
  const parameters = {
    filename: file.filename,
    runtime_image: file.image,
    dependencies: [],
    include_subdirectories: false,
    outputs: file.outputs ?? [],
    env_vars: []
  };
  const node = bare(document, OPS[extension(file.filename)], name, place, parameters);
  if (file.atelier && Object.keys(file.atelier).length) {
    node.app_data = { ...node.app_data, atelier: file.atelier };
  }
  return node;
}

/** A generic step for which a file is still to be chosen. */
export function emptyFileNode(
  document: PipelineDocument,
  op: string,
  label: string,
  place: Place
): PipelineNode {
  const parameters = {
    filename: '',
    runtime_image: '',
    dependencies: [],
    include_subdirectories: false,
    outputs: [],
    env_vars: []
  };
  return bare(document, op, label, place, parameters);
}

function bare(
  document: PipelineDocument,
  op: string,
  wanted: string,
  place: Place,
  component_parameters: JsonObject
): PipelineNode {
  const label = freeLabel(wanted, new Set(document.nodes.map(nameOf)));
  return {
    id: UUID.uuid4(),
    type: 'execution_node',
    op,
    app_data: {
      label,
      component_parameters,
      ui_data: { label, image: '', x_pos: Math.round(place.x), y_pos: Math.round(place.y) }
    },
    inputs: [{ id: IN_PORT }],
    outputs: [{ id: OUT_PORT }]
  };
}

/** A new comment. */
export function newComment(place: Place): JsonObject {
  return {
    id: UUID.uuid4(),
    x_pos: Math.round(place.x),
    y_pos: Math.round(place.y),
    width: 200,
    height: 80,
    content: '',
    associated_id_refs: []
  };
}
