import { IAtelier } from '@atelier/api';
import { addOutputAction } from '@atelier/runs';
import { addPanel, DOMAIN } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { ModelActions } from './actions';
import { isModel } from './candidates';
import { addCommands, CommandIDs, ModelsContext } from './commands';
import { modelsIcon } from './icons';
import { ModelsModel } from './model';
import { ModelsPanel } from './Panel';

const DEMO = 'atelier:open-demo';

/** Registered models: versions, aliases, approval, lineage; register, compare, download, delete. */
export const models: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:models',
  description: 'Lists the registered models of the project, and shows what is known of their versions.',
  autoStart: true,
  requires: [IAtelier],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, IFileBrowserFactory],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    files: IFileBrowserFactory | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const model = new ModelsModel(atelier);
    const actions = new ModelActions(atelier, trans);
    const context = { app, atelier, trans, restorer, model, actions, files };
    addCommands(context);
    addList(context);
    addToOutputs(context);
    const category = trans.__('Atelier');
    [CommandIDs.show, CommandIDs.register].forEach(command => palette?.addItem({ command, category }));
  }
};

function addList(context: ModelsContext): void {
  const { app, atelier, trans, model } = context;
  addPanel(context, {
    id: 'atelier-models',
    icon: modelsIcon,
    caption: trans.__('Models'),
    rank: 632,
    type: 'Atelier Models',
    command: CommandIDs.show,
    label: trans.__('Show Models'),
    draw: () =>
      React.createElement(ModelsPanel, {
        atelier,
        model,
        onOpen: one => void app.commands.execute(CommandIDs.open, { project: one.project, name: one.name }),
        onRegister: () => void app.commands.execute(CommandIDs.register),
        onDemo: () => void app.commands.execute(DEMO)
      })
  });
}

/** What a step left as a model can be registered where it is listed. */
function addToOutputs({ app, trans }: ModelsContext): void {
  addOutputAction({
    icon: modelsIcon,
    label: artifact => trans.__('Register %1 as a model', artifact.name),
    fits: isModel,
    run: (project, { run, step, name }) =>
      void app.commands.execute(CommandIDs.register, { project, run, step, output: name })
  });
}
