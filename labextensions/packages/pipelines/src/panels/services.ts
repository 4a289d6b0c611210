import { IEditorServices } from '@jupyterlab/codeeditor';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { CommandRegistry } from '@lumino/commands';
import { createContext, useContext } from 'react';

import { PipelineSettings } from '../model/settings';
import { PipelineView } from '../model/view';

/** What Lab lends to the panels of a canvas. */
export interface Services {
  readonly trans: TranslationBundle;
  readonly translator: ITranslator;
  readonly editors: IEditorServices;
  readonly rendermime: IRenderMimeRegistry;
  readonly commands: CommandRegistry;
  readonly documents: IDocumentManager;
  readonly settings: PipelineSettings;
}

/** A view and what Lab lends to it. */
export interface Panel extends Services {
  readonly view: PipelineView;
}

export const PanelContext = createContext<Panel | null>(null);

/** The view that a component belongs to. */
export function usePanel(): Panel {
  const panel = useContext(PanelContext);
  if (!panel) {
    throw new Error('No pipeline around this component.');
  }
  return panel;
}
