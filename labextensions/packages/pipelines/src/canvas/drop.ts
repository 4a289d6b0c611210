import { Contents } from '@jupyterlab/services';
import { Drag } from '@lumino/dragdrop';
import { useReactFlow } from '@xyflow/react';
import { RefObject, useEffect } from 'react';

import { isStepFile } from '../document/create';
import { Place } from '../document/types';
import { addGeneric, addTemplate } from '../model/actions';
import { addFiles } from '../model/files';
import { PipelineView } from '../model/view';

/** What the palette drags: a template's name, or the `op` of a generic step with its label. */
export const PALETTE_MIME = 'application/vnd.atelier.palette';
const CONTENTS_MIME = 'application/x-jupyter-icontents';
const RICH_MIME = 'application/x-jupyter-icontentsrich';

interface RichContent {
  model: Contents.IModel;
  path: string;
}

/** Take steps from the palette and files from the file browser where they are dropped. */
export function useDrop(root: RefObject<HTMLElement>, view: PipelineView): void {
  const flow = useReactFlow();
  useEffect(() => {
    const element = root.current;
    if (!element) {
      return undefined;
    }
    const at = (event: MouseEvent): Place =>
      flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    const handlers = { ...paletteHandlers(view, at), ...fileHandlers(view, at) } as unknown as Record<
      string,
      EventListener
    >;
    for (const [name, handler] of Object.entries(handlers)) {
      element.addEventListener(name, handler);
    }
    return () => {
      for (const [name, handler] of Object.entries(handlers)) {
        element.removeEventListener(name, handler);
      }
    };
  }, [root, view, flow]);
}

function paletteHandlers(view: PipelineView, at: (event: MouseEvent) => Place) {
  return {
    dragover: (event: DragEvent) => {
      if (event.dataTransfer?.types.includes(PALETTE_MIME) && !view.readOnly) {
        event.preventDefault();
        event.dataTransfer.dropEffect = 'copy';
      }
    },
    drop: (event: DragEvent) => {
      const dragged = event.dataTransfer?.getData(PALETTE_MIME);
      if (!dragged) {
        return;
      }
      event.preventDefault();
      const { template, op, label } = JSON.parse(dragged) as Record<string, string>;
      const found = view.catalog.templates.find(one => one.name === template);
      if (found) {
        addTemplate(view, found, at(event));
      } else if (op) {
        addGeneric(view, op, label, at(event));
      }
    }
  };
}

function dropped(event: Drag.Event): string[] {
  if (event.mimeData.hasData(CONTENTS_MIME)) {
    return event.mimeData.getData(CONTENTS_MIME) as string[];
  }
  return event.mimeData.hasData(RICH_MIME) ? [(event.mimeData.getData(RICH_MIME) as RichContent).path] : [];
}

function fileHandlers(view: PipelineView, at: (event: MouseEvent) => Place) {
  const take = (event: Drag.Event): void => {
    if (!view.readOnly && dropped(event).some(isStepFile)) {
      event.preventDefault();
      event.stopPropagation();
      event.dropAction = event.proposedAction === 'none' ? event.proposedAction : 'copy';
    }
  };
  return {
    'lm-dragenter': take,
    'lm-dragover': (event: Drag.Event) => {
      take(event);
      event.dropAction = event.proposedAction;
    },
    'lm-drop': (event: Drag.Event) => {
      const files = dropped(event).filter(isStepFile);
      if (files.length && !view.readOnly) {
        event.preventDefault();
        event.stopPropagation();
        event.dropAction = event.proposedAction;
        void addFiles(view, files, at(event));
      }
    }
  };
}
