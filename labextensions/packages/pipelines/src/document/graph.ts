import { PipelineDocument } from './document';
import { parentsOf, sourcesOf } from './step';
import { IN_PORT, OUT_PORT, PipelineNode } from './types';

/** An edge as it is drawn: of data, or only of order (`input` is the port of order then). */
export interface Edge {
  id: string;
  source: string;
  output: string;
  target: string;
  input: string;
}

/** The name of an edge: the same end points give the same one. */
export function edgeId(source: string, output: string, target: string, input: string): string {
  return JSON.stringify([source, output, target, input]);
}

const cache = new WeakMap<PipelineNode, Edge[]>();

/** The edges that end at a step: one for each output that it takes, and one for each parent it only follows. */
export function edgesInto(node: PipelineNode): Edge[] {
  const known = cache.get(node);
  if (known) {
    return known;
  }
  const edges: Edge[] = [];
  const covered = new Set<string>();
  const add = (source: string, output: string, input: string): void => {
    edges.push({ id: edgeId(source, output, node.id, input), source, output, target: node.id, input });
  };
  for (const [name, source] of sourcesOf(node)) {
    add(source.node, source.output, name);
    covered.add(source.node);
  }
  for (const parent of parentsOf(node)) {
    if (!covered.has(parent)) {
      add(parent, OUT_PORT, IN_PORT);
    }
  }
  cache.set(node, edges);
  return edges;
}

/** All edges between steps that are there. */
export function edgesOf(document: PipelineDocument): Edge[] {
  return document.nodes.flatMap(node => edgesInto(node).filter(edge => document.node(edge.source)));
}

/** Whether `descendant` runs after `node`, directly or not; a step runs after itself here. */
export function isAfter(document: PipelineDocument, node: string, descendant: string): boolean {
  const open = [descendant];
  const seen = new Set<string>();
  while (open.length) {
    const id = open.pop() as string;
    if (id === node) {
      return true;
    }
    const found = document.node(id);
    if (found && !seen.has(id)) {
      seen.add(id);
      open.push(...parentsOf(found));
    }
  }
  return false;
}
