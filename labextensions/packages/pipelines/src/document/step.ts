import {
  GENERIC_OPS,
  Json,
  JsonObject,
  Link,
  number,
  object,
  objects,
  PipelineNode,
  Place,
  Source,
  text
} from './types';

/** `app_data` of a node. */
export function appData(node: PipelineNode): JsonObject {
  return object(node.app_data);
}

/** What is ours in a node: `app_data.atelier`. */
export function extras(node: PipelineNode): JsonObject {
  return object(appData(node).atelier);
}

/** `component_parameters` as they stand in the file. */
export function componentParameters(node: PipelineNode): JsonObject {
  return object(appData(node).component_parameters);
}

/** Which of Elyra's generic steps it is, or an empty text. */
export function genericKind(node: PipelineNode): '' | 'python' | 'notebook' | 'r' {
  return text(extras(node).template) ? '' : (GENERIC_OPS[text(node.op)] ?? '');
}

/** The file that a generic step runs. */
export function filename(node: PipelineNode): string {
  return text(unwrap(componentParameters(node).filename));
}

/** What a person calls the step. */
export function nameOf(node: PipelineNode): string {
  const data = appData(node);
  const given = text(extras(node).name) || text(data.label) || text(object(data.ui_data).label);
  return given.trim() || filename(node).split('/').pop() || node.id;
}

/** What the step is for, in its author's words. */
export function descriptionOf(node: PipelineNode): string {
  return text(extras(node).description) || text(object(appData(node).ui_data).description);
}

/** Where the step stands on the canvas. */
export function placeOf(node: PipelineNode): Place {
  const ui = object(appData(node).ui_data);
  return { x: number(ui.x_pos), y: number(ui.y_pos) };
}

/** The edges that end here, as the file keeps them. */
export function linksOf(node: PipelineNode): Link[] {
  return objects(node.inputs).flatMap(port => objects(port.links) as Link[]);
}

/** The output that a parameter of the widget `inputpath` names. */
export function inputPath(value: Json): Source | null {
  const outer = object(value);
  if (outer.widget !== 'inputpath') {
    return null;
  }
  const inner = typeof outer.value === 'object' && outer.value !== null ? object(outer.value) : outer;
  const node = text(inner.value);
  return node ? { node, output: text(inner.option).replace(/^output_/, '') } : null;
}

/** Which outputs of other steps it takes, by the name that it takes them under. */
export function sourcesOf(node: PipelineNode): Map<string, Source> {
  const found = new Map<string, Source>();
  const ours = extras(node);
  for (const [name, value] of Object.entries({ ...componentParameters(node), ...object(ours.parameters) })) {
    const source = inputPath(value);
    if (source) {
      found.set(name, source);
    }
  }
  for (const [name, value] of Object.entries(object(ours.inputs))) {
    const source = object(value);
    found.set(name, { node: text(source.node), output: text(source.output) });
  }
  return found;
}

/** The steps that must have finished before it starts. */
export function parentsOf(node: PipelineNode): Set<string> {
  const parents = new Set(linksOf(node).map(link => link.node_id_ref));
  for (const source of sourcesOf(node).values()) {
    parents.add(source.node);
  }
  return parents;
}

/** The value in Elyra's `{widget, value}`; the widget `parameter` names a run-time parameter. */
export function unwrap(wrapped: Json): Json {
  const outer = object(wrapped);
  if (typeof outer.widget !== 'string') {
    return wrapped;
  }
  if (outer.widget === 'inputpath') {
    return undefined;
  }
  return outer.widget === 'parameter' && outer.value
    ? `{{ parameters.${String(outer.value)} }}`
    : outer.value;
}

/** A value as Elyra keeps it for the steps of a catalog. */
export function wrap(value: Json): JsonObject {
  const widget = typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'string';
  return { widget, value };
}
