import { Edge as FlowEdge, Node as FlowNode, Position } from '@xyflow/react';

import { PipelineDocument } from '../document/document';
import { rawComments } from '../document/edits';
import { Edge, edgesInto } from '../document/graph';
import { Ports, portsOf, TemplateSummary } from '../document/ports';
import { nameOf, placeOf } from '../document/step';
import { IN_PORT, JsonObject, number, OUT_PORT, PipelineNode, text } from '../document/types';
import { TemplateCatalog } from '../model/catalog';
import { Selection } from '../model/view';
import { HANDLE, HEADER, heightOf, NODE_WIDTH, portY } from './geometry';

/**
 * How much of a step is drawn: all of it; from afar, only its name and state; and where there are many of those,
 * no ports either, and all edges as one line drawing.
 */
export type Detail = 'near' | 'far' | 'many';

/** What a drawn step needs to know. */
export interface StepData extends Record<string, unknown> {
  node: PipelineNode;
  template: TemplateSummary | undefined;
  ports: Ports;
  detail: Detail;
}

/** What a drawn comment needs to know. */
export interface CommentData extends Record<string, unknown> {
  text: string;
}

export type StepFlowNode = FlowNode<StepData, 'step'>;
export type CommentFlowNode = FlowNode<CommentData, 'comment'>;
export type CanvasNode = StepFlowNode | CommentFlowNode;
export type CanvasEdge = FlowEdge<{ edge: Edge }>;

interface Known<T> {
  detail: Detail;
  template: TemplateSummary | undefined;
  selected: boolean;
  drawn: T;
}

/** Draws documents; what did not change is the same object again, so that it is not drawn anew. */
export class Drawer {
  /** Steps and comments. */
  nodes(
    document: PipelineDocument,
    catalog: TemplateCatalog,
    selection: Selection,
    detail: Detail
  ): CanvasNode[] {
    const steps = document.nodes.map(node => this.step(node, catalog, selection.ids.has(node.id), detail));
    const comments = rawComments(document).map(one => this.comment(one, selection.ids.has(text(one.id))));
    return [...comments, ...steps];
  }

  /** Edges between steps that are there. */
  edges(document: PipelineDocument, selected: ReadonlySet<string>): CanvasEdge[] {
    return document.nodes.flatMap(node =>
      edgesInto(node)
        .filter(edge => document.node(edge.source))
        .map(edge =>
          this.edge(edge, wordsFor(document, edge), this.handleOf(document, edge), selected.has(edge.id))
        )
    );
  }

  /** The port where an edge begins; an output that nobody declares is drawn at the step itself. */
  private handleOf(document: PipelineDocument, edge: Edge): string {
    const source = document.node(edge.source);
    const outputs = (source && this.steps.get(source)?.drawn.data.ports.outputs) ?? [];
    return outputs.some(port => port.name === edge.output) ? edge.output : OUT_PORT;
  }

  private step(
    node: PipelineNode,
    catalog: TemplateCatalog,
    selected: boolean,
    detail: Detail
  ): StepFlowNode {
    const template = catalog.templateOf(node);
    const known = this.steps.get(node);
    if (known?.template === template && known?.selected === selected && known?.detail === detail) {
      return known.drawn;
    }
    const drawn = stepNode(node, template, selected, detail);
    this.steps.set(node, { template, selected, detail, drawn });
    return drawn;
  }

  private comment(raw: JsonObject, selected: boolean): CommentFlowNode {
    const known = this.comments.get(raw);
    if (known && known.selected === selected) {
      return known.drawn;
    }
    const drawn = commentNode(raw, selected);
    this.comments.set(raw, { template: undefined, selected, detail: 'near', drawn });
    return drawn;
  }

  private edge(edge: Edge, ariaLabel: string, sourceHandle: string, selected: boolean): CanvasEdge {
    const known = this.drawnEdges.get(edge);
    if (
      known &&
      known.selected === selected &&
      known.sourceHandle === sourceHandle &&
      known.ariaLabel === ariaLabel
    ) {
      return known;
    }
    const drawn = { ...flowEdge(edge, sourceHandle, selected), ariaLabel };
    this.drawnEdges.set(edge, drawn);
    return drawn;
  }

  private readonly steps = new WeakMap<PipelineNode, Known<StepFlowNode>>();
  private readonly comments = new WeakMap<JsonObject, Known<CommentFlowNode>>();
  private readonly drawnEdges = new WeakMap<Edge, CanvasEdge>();
}

function stepNode(
  node: PipelineNode,
  template: TemplateSummary | undefined,
  selected: boolean,
  detail: Detail
): StepFlowNode {
  const ports = withConnected(node, portsOf(node, template));
  const size = { width: NODE_WIDTH, height: heightOf(ports) };
  return {
    id: node.id,
    type: 'step',
    position: placeOf(node),
    ...size,
    measured: size,
    selected,
    handles: handlesOf(ports),
    ariaLabel: nameOf(node),
    data: { node, template, ports, detail }
  };
}

function withConnected(node: PipelineNode, ports: Ports): Ports {
  const known = new Set(ports.inputs.map(port => port.name));
  const more = edgesInto(node)
    .filter(edge => edge.input !== IN_PORT && !known.has(edge.input))
    .map(edge => ({ name: edge.input, type: 'any', required: false, description: '' }));
  return more.length ? { ...ports, inputs: [...ports.inputs, ...more] } : ports;
}

function handlesOf(ports: Ports): NonNullable<StepFlowNode['handles']> {
  const at = (id: string, type: 'source' | 'target', y: number) => ({
    id,
    type,
    position: type === 'source' ? Position.Right : Position.Left,
    x: (type === 'source' ? NODE_WIDTH : 0) - HANDLE / 2,
    y: y - HANDLE / 2,
    width: HANDLE,
    height: HANDLE
  });
  return [
    at(IN_PORT, 'target', HEADER / 2),
    at(OUT_PORT, 'source', HEADER / 2),
    ...ports.inputs.map((port, index) => at(port.name, 'target', portY(index))),
    ...ports.outputs.map((port, index) => at(port.name, 'source', portY(index)))
  ];
}

function commentNode(raw: JsonObject, selected: boolean): CommentFlowNode {
  const size = { width: number(raw.width, 200), height: number(raw.height, 80) };
  return {
    id: text(raw.id),
    type: 'comment',
    position: { x: number(raw.x_pos), y: number(raw.y_pos) },
    ...size,
    measured: size,
    selected,
    zIndex: -1,
    handles: [],
    data: { text: text(raw.content) }
  };
}

/** What a screen reader says of an edge. */
function wordsFor(document: PipelineDocument, edge: Edge): string {
  return [edge.source, edge.target].map(id => nameOf(document.node(id) as PipelineNode)).join(' → ');
}

function flowEdge(edge: Edge, sourceHandle: string, selected: boolean): CanvasEdge {
  const order = edge.input === IN_PORT;
  return {
    id: edge.id,
    source: edge.source,
    sourceHandle,
    target: edge.target,
    targetHandle: edge.input,
    selected,
    className: order ? 'at-Edge at-mod-order' : 'at-Edge',
    data: { edge }
  };
}
