import type { ElkNode } from 'elkjs';

import { PipelineDocument } from '../document/document';
import { edgesOf } from '../document/graph';
import { portsOf } from '../document/ports';
import { placeOf } from '../document/step';
import { Place } from '../document/types';
import { TemplateCatalog } from '../model/catalog';
import { heightOf, NODE_WIDTH } from './geometry';

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'RIGHT',
  'elk.spacing.nodeNode': '36',
  'elk.layered.spacing.nodeNodeBetweenLayers': '72',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES'
};

/** Where steps stand when they are laid out from left to right; those of `ids`, or all. */
export async function layout(
  document: PipelineDocument,
  catalog: TemplateCatalog,
  ids: ReadonlySet<string>
): Promise<Map<string, Place>> {
  const { default: Elk } = await import('elkjs/lib/elk.bundled.js');
  const nodes = document.nodes.filter(node => ids.size < 2 || ids.has(node.id));
  const inside = new Set(nodes.map(node => node.id));
  const graph: ElkNode = {
    id: 'root',
    layoutOptions: OPTIONS,
    children: nodes.map(node => ({
      id: node.id,
      width: NODE_WIDTH,
      height: heightOf(portsOf(node, catalog.templateOf(node)))
    })),
    edges: edgesOf(document)
      .filter(edge => inside.has(edge.source) && inside.has(edge.target))
      .map(edge => ({ id: edge.id, sources: [edge.source], targets: [edge.target] }))
  };
  const found = await new Elk().layout(graph);
  const left = Math.min(...nodes.map(node => placeOf(node).x));
  const top = Math.min(...nodes.map(node => placeOf(node).y));
  return new Map(
    (found.children ?? []).map(child => [child.id, { x: left + (child.x ?? 0), y: top + (child.y ?? 0) }])
  );
}

/** Ways to bring steps in line. */
export type Alignment = 'left' | 'right' | 'top' | 'bottom' | 'row' | 'column';

/** A step with its size. */
export interface Box extends Place {
  id: string;
  width: number;
  height: number;
}

/** Where boxes stand once they are in line; `row` and `column` also give them the same gaps. */
export function align(boxes: readonly Box[], how: Alignment): Map<string, Place> {
  const lowest = Math.min(...boxes.map(box => (how === 'right' ? box.x + box.width : box.x)));
  const right = Math.max(...boxes.map(box => box.x + box.width));
  const top = Math.min(...boxes.map(box => box.y));
  const bottom = Math.max(...boxes.map(box => box.y + box.height));
  switch (how) {
    case 'left':
      return places(boxes, box => ({ x: lowest, y: box.y }));
    case 'right':
      return places(boxes, box => ({ x: right - box.width, y: box.y }));
    case 'top':
      return places(boxes, box => ({ x: box.x, y: top }));
    case 'bottom':
      return places(boxes, box => ({ x: box.x, y: bottom - box.height }));
    default:
      return spread(boxes, how);
  }
}

function places(boxes: readonly Box[], place: (box: Box) => Place): Map<string, Place> {
  return new Map(boxes.map(box => [box.id, place(box)]));
}

function spread(boxes: readonly Box[], how: 'row' | 'column'): Map<string, Place> {
  const along = how === 'row' ? ('x' as const) : ('y' as const);
  const size = how === 'row' ? ('width' as const) : ('height' as const);
  const sorted = [...boxes].sort((one, other) => one[along] - other[along]);
  const first = sorted[0];
  const last = sorted[sorted.length - 1];
  const taken = sorted.reduce((sum, box) => sum + box[size], 0);
  const room = last[along] + last[size] - first[along] - taken;
  const gap = Math.max(24, room / Math.max(1, sorted.length - 1));
  let next = first[along];
  return places(sorted, box => {
    const place = how === 'row' ? { x: next, y: first.y } : { x: first.x, y: next };
    next += box[size] + gap;
    return place;
  });
}
