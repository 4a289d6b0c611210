import React from 'react';

import { heightOf, NODE_WIDTH } from '../canvas/geometry';
import { align, Alignment } from '../canvas/layout';
import { move } from '../document/edits';
import { portsOf } from '../document/ports';
import { placeOf } from '../document/step';
import { PipelineNode } from '../document/types';
import { usePanel } from './services';

/** What can be done with several steps at once. */
export function SelectionForm(props: { nodes: PipelineNode[]; readOnly: boolean }): React.JSX.Element {
  const { view, trans } = usePanel();
  const { nodes, readOnly } = props;
  const ways: [Alignment, string][] = [
    ['left', trans.__('Align left')],
    ['right', trans.__('Align right')],
    ['top', trans.__('Align top')],
    ['bottom', trans.__('Align bottom')],
    ['row', trans.__('In a row')],
    ['column', trans.__('In a column')]
  ];
  const apply = (how: Alignment): void => {
    const boxes = nodes.map(node => ({
      id: node.id,
      ...placeOf(node),
      width: NODE_WIDTH,
      height: heightOf(portsOf(node, view.catalog.templateOf(node)))
    }));
    view.edit(move(align(boxes, how)));
  };
  return (
    <div className="at-Inspector-head">
      <p>{trans._n('%1 step is selected.', '%1 steps are selected.', nodes.length)}</p>
      <div className="at-Buttons">
        {ways.map(([how, label]) => (
          <button
            key={how}
            className="jp-mod-styled at-Button"
            disabled={readOnly}
            onClick={() => apply(how)}
          >
            {label}
          </button>
        ))}
      </div>
    </div>
  );
}
