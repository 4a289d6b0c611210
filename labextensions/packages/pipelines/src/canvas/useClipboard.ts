import { ClipboardEvent, useMemo } from 'react';

import { copySelection, cutSelection, pasteText } from '../model/actions';
import { PipelineView } from '../model/view';

/** The browser's own copy, cut and paste on the canvas; text that is being written is left alone. */
export function useClipboard(view: PipelineView) {
  return useMemo(() => {
    const put = (event: ClipboardEvent, clip: string): void => {
      if (clip) {
        event.clipboardData.setData('text/plain', clip);
        event.preventDefault();
      }
    };
    return {
      onCopy: (event: ClipboardEvent) => !writes(event) && put(event, copySelection(view)),
      onCut: (event: ClipboardEvent) => !writes(event) && put(event, cutSelection(view)),
      onPaste: (event: ClipboardEvent) => {
        if (!writes(event) && pasteText(view, event.clipboardData.getData('text/plain'), null)) {
          event.preventDefault();
        }
      }
    };
  }, [view]);
}

function writes(event: ClipboardEvent): boolean {
  return (event.target as HTMLElement).closest('input, textarea, [contenteditable=true]') !== null;
}
