import { IAtelier } from '@atelier/api';
import { addPages, addPanel, datasetsIcon, DOMAIN, Shell } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { DatasetActions } from './actions';
import { DatasetView } from './DatasetView';
import { DatasetsClient, DatasetsModel } from './model';
import { DatasetsPanel } from './Panel';

namespace CommandIDs {
  export const show = 'atelier:show-datasets';
  export const open = 'atelier:open-dataset';
  export const register = 'atelier:register-dataset';
}

interface Context extends Shell {
  model: DatasetsModel;
  actions: DatasetActions;
  files: IFileBrowserFactory | null;
}

/** Datasets and their versions: register, send, look into, delete. */
export const datasets: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:datasets',
  description: 'Lists the datasets of the project, sends files into them and shows what is in them.',
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
    const model = new DatasetsModel(atelier);
    const actions = new DatasetActions(model, trans);
    const context = { app, atelier, trans, restorer, model, actions, files };
    addList(context);
    addOpen(context);
    addRegister(context);
    const category = trans.__('Atelier');
    [CommandIDs.show, CommandIDs.register].forEach(command => palette?.addItem({ command, category }));
  }
};

function addList(context: Context): void {
  const { app, atelier, trans, model } = context;
  addPanel(context, {
    id: 'atelier-datasets',
    icon: datasetsIcon,
    caption: trans.__('Datasets'),
    rank: 630,
    type: 'Atelier Datasets',
    command: CommandIDs.show,
    label: trans.__('Show Datasets'),
    draw: () =>
      React.createElement(DatasetsPanel, {
        atelier,
        model,
        onOpen: one => void app.commands.execute(CommandIDs.open, { project: one.project, name: one.name }),
        onRegister: () => void app.commands.execute(CommandIDs.register)
      })
  });
}

function addOpen(context: Context): void {
  const { atelier, trans, model, actions } = context;
  addPages(context, {
    kind: 'dataset',
    icon: datasetsIcon,
    type: 'Atelier Dataset',
    command: CommandIDs.open,
    label: trans.__('Open Dataset'),
    begin: (project, name, close) => {
      const client = new DatasetsClient(atelier, project);
      return () =>
        React.createElement(DatasetView, {
          atelier,
          model,
          client,
          name,
          onNewVersion: one => void actions.register({ dataset: one.name }, client),
          onRemove: one => void actions.remove(client, one).then(gone => gone && close()),
          onRemoveVersion: (one, version) => void actions.removeVersion(client, one, version)
        });
    }
  });
}

function addRegister(context: Context): void {
  const { app, trans, actions, files, atelier } = context;
  app.commands.addCommand(CommandIDs.register, {
    label: args => (args.fromBrowser ? trans.__('Register as Dataset') : trans.__('Register Dataset…')),
    icon: datasetsIcon,
    describedBy: {
      args: { type: 'object', properties: { path: { type: 'string' }, fromBrowser: { type: 'boolean' } } }
    },
    execute: async args => {
      const picked = args.fromBrowser
        ? files?.tracker.currentWidget?.selectedItems().next().value?.path
        : undefined;
      const chosen = args.path ? String(args.path) : picked;
      const path = chosen && app.serviceManager.contents.localPath(chosen);
      const name = await actions.register({ path });
      if (name) {
        await app.commands.execute(CommandIDs.show);
        await app.commands.execute(CommandIDs.open, { project: atelier.project, name });
      }
    }
  });
  app.contextMenu.addItem({
    command: CommandIDs.register,
    args: { fromBrowser: true },
    selector: '.jp-DirListing-item',
    rank: 60
  });
}
