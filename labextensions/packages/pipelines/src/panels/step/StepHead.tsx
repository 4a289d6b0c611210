import React, { useEffect, useRef } from 'react';

import { describe, rename } from '../../document/edits';
import { descriptionOf, nameOf } from '../../document/step';
import { PipelineNode } from '../../document/types';
import { usePanel } from '../services';

/** What every form of a step gets. */
export interface StepFormProps {
  node: PipelineNode;
  readOnly: boolean;
  /** The field that is to be looked at; null means none. */
  focus: string | null;
}

/** The step's name and what it is for. */
export function StepHead(
  props: StepFormProps & { kind: string; children?: React.ReactNode }
): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, readOnly, focus } = props;
  const name = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus === '' || focus === 'name') {
      name.current?.focus();
    }
  }, [focus]);
  return (
    <div className="at-Inspector-head">
      <div className="at-Inspector-kind" title={props.kind}>
        {props.kind}
        {props.children}
      </div>
      <input
        ref={name}
        className="jp-mod-styled at-Inspector-name"
        aria-label={trans.__('Name of the step')}
        value={nameOf(node)}
        readOnly={readOnly}
        onChange={event => view.edit(rename(node.id, event.target.value), `name ${node.id}`)}
      />
      <textarea
        className="jp-mod-styled at-Inspector-description"
        aria-label={trans.__('What it is for')}
        placeholder={trans.__('What it is for')}
        rows={2}
        value={descriptionOf(node)}
        readOnly={readOnly}
        onChange={event => view.edit(describe(node.id, event.target.value), `about ${node.id}`)}
      />
    </div>
  );
}
