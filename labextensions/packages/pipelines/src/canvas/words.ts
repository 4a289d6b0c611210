import { TranslationBundle } from '@jupyterlab/translation';
import { ReactFlowProps } from '@xyflow/react';

/** What the canvas says to screen readers by itself, in the person's language. */
export function canvasWords(trans: TranslationBundle): NonNullable<ReactFlowProps['ariaLabelConfig']> {
  return {
    'node.a11yDescription.default': trans.__('Press Enter or Space to select a step.'),
    'node.a11yDescription.keyboardDisabled': trans.__('Press Enter or Space to select a step.'),
    'node.a11yDescription.ariaLiveMessage': ({ x, y }) => trans.__('Moved to %1, %2', x, y),
    'edge.a11yDescription.default': trans.__(
      'Press Enter or Space to select a connection, Delete to remove it.'
    ),
    'controls.ariaLabel': trans.__('Zoom'),
    'controls.zoomIn.ariaLabel': trans.__('Zoom in'),
    'controls.zoomOut.ariaLabel': trans.__('Zoom out'),
    'controls.fitView.ariaLabel': trans.__('Show everything'),
    'minimap.ariaLabel': trans.__('Overview'),
    'handle.ariaLabel': trans.__('Port')
  };
}
