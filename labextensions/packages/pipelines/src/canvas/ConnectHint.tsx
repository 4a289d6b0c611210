import { ConnectionState, useConnection } from '@xyflow/react';
import React from 'react';

import { usePanel } from '../panels/services';
import { wishOfState } from './Canvas';
import { refusal } from './connect';

/** While an edge is dragged: why it cannot end where it is. */
export function ConnectHint(): React.JSX.Element | null {
  const { view, trans } = usePanel();
  const why = useConnection((state: ConnectionState) => {
    const wish = state.inProgress && state.isValid === false ? wishOfState(state) : null;
    return wish ? refusal(view, trans, wish) : '';
  });
  return why ? (
    <div className="at-Hint at-mod-refused" role="alert">
      {why}
    </div>
  ) : null;
}
