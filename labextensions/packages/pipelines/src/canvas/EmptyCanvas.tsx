import React from 'react';

import { pipelineIcon } from '../icons';
import { usePanel } from '../panels/services';

/** What to do with a pipeline that has no steps. */
export function EmptyCanvas(): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <div className="at-Canvas-empty">
      <pipelineIcon.react tag="div" className="at-Canvas-emptyIcon" width="48px" height="48px" />
      <p>{trans.__('Drag a template from the left, or a notebook or script from the file browser.')}</p>
      <p>{trans.__('With the keyboard: go to the list of templates and press Enter on one.')}</p>
    </div>
  );
}
