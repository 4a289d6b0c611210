import { NodeProps, NodeResizer } from '@xyflow/react';
import React, { memo, useCallback, useEffect, useRef, useState } from 'react';

import { changeComments } from '../document/edits';
import { text } from '../document/types';
import { usePanel } from '../panels/services';
import { CommentFlowNode } from './flow';

/** A note on the canvas; a double click or Enter writes in it. */
export const CommentNode = memo(function CommentNode(props: NodeProps<CommentFlowNode>): React.JSX.Element {
  const { view, trans } = usePanel();
  const { id } = props;
  const [writing, setWriting] = useState(props.data.text === '' && props.selected);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (writing) {
      area.current?.focus();
    }
  }, [writing]);
  const write = useCallback(
    (content: string) => {
      setWriting(false);
      view.edit(
        changeComments(one => (text(one.id) === id && one.content !== content ? { ...one, content } : one))
      );
    },
    [view, id]
  );
  const resize = useCallback(
    (_event: unknown, size: { x: number; y: number; width: number; height: number }) => {
      const fields = { x_pos: size.x, y_pos: size.y, width: size.width, height: size.height };
      view.edit(changeComments(one => (text(one.id) === id ? { ...one, ...fields } : one)));
    },
    [view, id]
  );
  return (
    <div className="at-Comment" data-comment={id} onDoubleClick={() => setWriting(!view.readOnly)}>
      <NodeResizer
        isVisible={props.selected && !view.readOnly}
        minWidth={80}
        minHeight={40}
        onResizeEnd={resize}
      />
      {writing ? (
        <textarea
          ref={area}
          className="at-Comment-text nodrag nowheel"
          aria-label={trans.__('Comment')}
          defaultValue={props.data.text}
          onBlur={event => write(event.target.value)}
          onKeyDown={event => {
            event.stopPropagation();
            if (event.key === 'Escape') {
              event.currentTarget.blur();
            }
          }}
        />
      ) : (
        <div className="at-Comment-text">
          {props.data.text || <em>{trans.__('Double-click to write a comment')}</em>}
        </div>
      )}
    </div>
  );
});
