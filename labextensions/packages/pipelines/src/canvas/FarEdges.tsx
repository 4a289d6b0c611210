import { ViewportPortal } from '@xyflow/react';
import React, { memo } from 'react';

import { edgesInto } from '../document/graph';
import { CanvasNode, StepFlowNode } from './flow';
import { HEADER, NODE_WIDTH } from './geometry';

/** The edges of very many steps as one drawing: thousands of elements would not be quick. */
export const FarEdges = memo(function FarEdges(props: { nodes: CanvasNode[] }): React.JSX.Element {
  return (
    <ViewportPortal>
      <svg className="at-FarEdges" aria-hidden="true">
        <path d={drawing(props.nodes)} />
      </svg>
    </ViewportPortal>
  );
});

function drawing(nodes: CanvasNode[]): string {
  const steps = nodes.filter((node): node is StepFlowNode => node.type === 'step');
  const places = new Map(steps.map(node => [node.id, node.position]));
  const lines = new Set<string>();
  for (const step of steps) {
    for (const edge of edgesInto(step.data.node)) {
      const from = places.get(edge.source);
      if (from) {
        const to = step.position;
        lines.add(`M${from.x + NODE_WIDTH} ${from.y + HEADER / 2}L${to.x} ${to.y + HEADER / 2}`);
      }
    }
  }
  return [...lines].join('');
}
