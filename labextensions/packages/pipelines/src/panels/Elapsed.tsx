import { durationText, useNow } from '@atelier/ui';
import React from 'react';

import { usePanel } from './services';

/** How long something took, or takes so far: that one ticks. */
export function Elapsed(props: { from: string | null; to: string | null }): React.JSX.Element | null {
  const { from, to } = props;
  const { trans } = usePanel();
  const now = useNow(from !== null && to === null);
  if (!from) {
    return null;
  }
  return (
    <span className="at-Elapsed">{durationText(trans, (to ? Date.parse(to) : now) - Date.parse(from))}</span>
  );
}
