import { UUID } from '@lumino/coreutils';

import { PipelineDocument } from './document';
import { Edge } from './graph';
import {
  appData,
  componentParameters,
  extras,
  genericKind,
  inputPath,
  linksOf,
  parentsOf,
  sourcesOf
} from './step';
import {
  IN_PORT,
  JsonObject,
  Link,
  object,
  objects,
  OUT_PORT,
  PipelineNode,
  Place,
  Source,
  text
} from './types';

/** An edit: the document that comes of it, the same one where nothing changes. */
export type Edit = (document: PipelineDocument) => PipelineDocument;

/** Change the steps that `change` gives anew. */
export function changeNodes(change: (node: PipelineNode) => PipelineNode): Edit {
  return document => {
    let changed = false;
    const nodes = document.nodes.map(node => {
      const after = change(node);
      changed ||= after !== node;
      return after;
    });
    return changed ? document.withNodes(nodes) : document;
  };
}

/** Change one step. */
export function changeNode(id: string, change: (node: PipelineNode) => PipelineNode): Edit {
  return changeNodes(node => (node.id === id ? change(node) : node));
}

/** A node with other fields in `app_data`. */
export function withAppData(node: PipelineNode, fields: JsonObject): PipelineNode {
  return { ...node, app_data: compact({ ...appData(node), ...fields }) };
}

/** A node with other fields in `app_data.atelier`; an empty field goes. */
export function withExtras(node: PipelineNode, fields: JsonObject): PipelineNode {
  return withAppData(node, { atelier: compact({ ...extras(node), ...fields }) });
}

/** A node with other `component_parameters`; one that is undefined goes. */
export function withParameters(node: PipelineNode, fields: JsonObject): PipelineNode {
  return withAppData(node, { component_parameters: compact({ ...componentParameters(node), ...fields }) });
}

function withUi(node: PipelineNode, fields: JsonObject): PipelineNode {
  return withAppData(node, { ui_data: { ...object(appData(node).ui_data), ...fields } });
}

function compact(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Move steps and comments to where `places` says. */
export function move(places: ReadonlyMap<string, Place>): Edit {
  return document => {
    const moved = changeNodes(node => {
      const place = places.get(node.id);
      return place ? withUi(node, { x_pos: Math.round(place.x), y_pos: Math.round(place.y) }) : node;
    })(document);
    return changeComments(comment => {
      const place = places.get(text(comment.id));
      return place ? { ...comment, x_pos: Math.round(place.x), y_pos: Math.round(place.y) } : comment;
    })(moved);
  };
}

/** Rename a step: both places where Elyra keeps its name. */
export function rename(id: string, label: string): Edit {
  return changeNode(id, node => {
    const named = withUi(withAppData(node, { label }), { label });
    return text(extras(node).name) ? withExtras(named, { name: label }) : named;
  });
}

/** Say what a step is for. */
export function describe(id: string, description: string): Edit {
  return changeNode(id, node => withExtras(node, { description: description || undefined }));
}

/** Add steps. */
export function addNodes(nodes: PipelineNode[]): Edit {
  return document => document.withNodes([...document.nodes, ...nodes]);
}

/** Take steps, comments and edges away; what they were connected to forgets them. */
export function remove(ids: ReadonlySet<string>, edges: readonly Edge[] = []): Edit {
  return document => {
    const lost = document.nodes
      .filter(node => !ids.has(node.id))
      .flatMap(node => goneFrom(node, ids))
      .concat(edges.filter(edge => !ids.has(edge.target)));
    const kept = document.nodes.filter(node => !ids.has(node.id));
    const without = kept.length === document.nodes.length ? document : document.withNodes(kept);
    return removeComments(ids)(lost.reduce((result, edge) => disconnect(edge)(result), without));
  };
}

function goneFrom(node: PipelineNode, ids: ReadonlySet<string>): Edge[] {
  const found: Edge[] = [];
  for (const [input, source] of sourcesOf(node)) {
    if (ids.has(source.node)) {
      found.push({ id: '', source: source.node, output: source.output, target: node.id, input });
    }
  }
  for (const parent of parentsOf(node)) {
    if (ids.has(parent)) {
      found.push({ id: '', source: parent, output: OUT_PORT, target: node.id, input: IN_PORT });
    }
  }
  return found;
}

/** Let a step take an output under a name; the link that Elyra draws comes with it. */
export function connect(target: string, input: string, source: Source): Edit {
  return changeNode(target, node => {
    const before = sourcesOf(node).get(input);
    const taken = input === IN_PORT ? node : withSource(node, input, source);
    const linked = withLink(taken, source.node);
    return before && before.node !== source.node ? withoutLink(linked, before.node) : linked;
  });
}

/** Undo a connection; the link goes with the last one between the two steps. */
export function disconnect(edge: Edge): Edit {
  return changeNode(edge.target, node => {
    if (edge.input === IN_PORT) {
      return withoutLink(node, edge.source);
    }
    const source = sourcesOf(node).get(edge.input);
    return source?.node === edge.source ? withoutLink(withoutSource(node, edge.input), edge.source) : node;
  });
}

function withSource(node: PipelineNode, input: string, source: Source): PipelineNode {
  if (genericKind(node)) {
    const inputs = { ...object(extras(node).inputs), [input]: { node: source.node, output: source.output } };
    return withExtras(withoutSource(node, input), { inputs });
  }
  const value = { value: source.node, option: `output_${source.output}` };
  return withParameters(withoutSource(node, input), { [input]: { widget: 'inputpath', value } });
}

function withoutSource(node: PipelineNode, input: string): PipelineNode {
  let result = node;
  const inputs = object(extras(node).inputs);
  if (input in inputs) {
    result = withExtras(result, { inputs: compact({ ...inputs, [input]: undefined }) });
  }
  const own = object(extras(node).parameters);
  if (inputPath(own[input])) {
    result = withExtras(result, { parameters: compact({ ...own, [input]: undefined }) });
  }
  return inputPath(componentParameters(node)[input])
    ? withParameters(result, { [input]: undefined })
    : result;
}

function withLink(node: PipelineNode, parent: string): PipelineNode {
  if (linksOf(node).some(link => link.node_id_ref === parent)) {
    return node;
  }
  const ports = objects(node.inputs);
  const [first, ...rest] = ports.length ? ports : [{ id: IN_PORT }];
  const link: Link = { id: UUID.uuid4(), node_id_ref: parent, port_id_ref: OUT_PORT };
  return { ...node, inputs: [{ ...first, links: [...objects(first.links), link] }, ...rest] };
}

function withoutLink(node: PipelineNode, parent: string): PipelineNode {
  if ([...sourcesOf(node).values()].some(source => source.node === parent)) {
    return node;
  }
  const inputs = objects(node.inputs).map(port => withoutLinks(port, parent));
  return { ...node, inputs };
}

function withoutLinks(port: JsonObject, parent: string): JsonObject {
  const links = objects(port.links);
  const kept = links.filter(link => link.node_id_ref !== parent);
  if (kept.length === links.length) {
    return port;
  }
  return compact({ ...port, links: kept.length ? kept : undefined });
}

/** The pipeline's own settings (`app_data.atelier`) with other fields. */
export function changeExtras(fields: JsonObject): Edit {
  return document =>
    document.withAppData({ ...document.appData, atelier: compact({ ...document.extras, ...fields }) });
}

/** The properties that Elyra keeps of a pipeline with other fields. */
export function changeProperties(fields: JsonObject): Edit {
  return document =>
    document.withAppData({ ...document.appData, properties: compact({ ...document.properties, ...fields }) });
}

/** The comments as the file keeps them. */
export function rawComments(document: PipelineDocument): JsonObject[] {
  return objects(object(document.appData.ui_data).comments);
}

function withComments(document: PipelineDocument, comments: JsonObject[]): PipelineDocument {
  const ui_data = { ...object(document.appData.ui_data), comments };
  return document.withAppData({ ...document.appData, ui_data });
}

/** Change the comments that `change` gives anew. */
export function changeComments(change: (comment: JsonObject) => JsonObject): Edit {
  return document => {
    const before = rawComments(document);
    const after = before.map(change);
    return after.some((one, index) => one !== before[index]) ? withComments(document, after) : document;
  };
}

/** Add comments. */
export function addComments(comments: JsonObject[]): Edit {
  return document =>
    comments.length ? withComments(document, [...rawComments(document), ...comments]) : document;
}

function removeComments(ids: ReadonlySet<string>): Edit {
  return document => {
    const before = rawComments(document);
    const kept = before.filter(comment => !ids.has(text(comment.id)));
    return kept.length === before.length ? document : withComments(document, kept);
  };
}
