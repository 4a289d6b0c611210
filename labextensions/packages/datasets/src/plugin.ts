import { IAtelier } from '@atelier/api';
import { ContentWidget, datasetsIcon, DOMAIN, LazyPanel } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { DatasetActions } from './actions';
import { DatasetView } from './DatasetView';
import { DatasetsClient, DatasetsModel } from './model';
import { DatasetsPanel } from './Panel';

const PANEL = 'atelier-datasets';

namespace CommandIDs {
  export const show = 'atelier:show-datasets';
  export const open = 'atelier:open-dataset';
  export const register = 'atelier:register-dataset';
}

interface Context {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  model: DatasetsModel;
  actions: DatasetActions;
  pages: WidgetTracker<MainAreaWidget>;
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
    const pages = new WidgetTracker<MainAreaWidget>({ namespace: 'atelier-dataset' });
    const context = { app, atelier, trans, model, actions, pages, files };
    addPanel(context, restorer);
    addOpen(context);
    addRegister(context);
    const category = trans.__('Atelier');
    [CommandIDs.show, CommandIDs.register].forEach(command => palette?.addItem({ command, category }));
    void restorer?.restore(pages, {
      command: CommandIDs.open,
      args: widget => argsOf(widget.id),
      name: widget => widget.id,
      when: app.serviceManager.ready
    });
  }
};

/** `dataset:<project>:<name>`, as the widgets are called. */
function argsOf(id: string): { project: string; name: string } {
  const [, project, name] = id.split(':');
  return { project, name };
}

function addPanel(context: Context, restorer: ILayoutRestorer | null): void {
  const { app, atelier, trans, model } = context;
  const panel = new LazyPanel({
    id: PANEL,
    icon: datasetsIcon,
    caption: trans.__('Datasets'),
    trans,
    restored: app.restored,
    draw: () =>
      React.createElement(DatasetsPanel, {
        atelier,
        model,
        onOpen: one => void app.commands.execute(CommandIDs.open, { project: one.project, name: one.name }),
        onRegister: () => void app.commands.execute(CommandIDs.register)
      })
  });
  app.shell.add(panel, 'left', { rank: 630, type: 'Atelier Datasets' });
  restorer?.add(panel, PANEL);
  app.commands.addCommand(CommandIDs.show, {
    label: trans.__('Show Datasets'),
    icon: datasetsIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.shell.activateById(PANEL)
  });
}

function addOpen(context: Context): void {
  const { app, atelier, trans, pages } = context;
  const texts = { project: { type: 'string' as const }, name: { type: 'string' as const } };
  app.commands.addCommand(CommandIDs.open, {
    label: trans.__('Open Dataset'),
    icon: datasetsIcon,
    describedBy: { args: { type: 'object', properties: texts, required: ['name'] } },
    execute: async args => {
      const project = String(args.project ?? atelier.project);
      const name = String(args.name);
      const id = `dataset:${project}:${name}`;
      if (!pages.find(one => one.id === id)) {
        const widget = page(context, new DatasetsClient(atelier, project), name);
        widget.id = id;
        app.shell.add(widget, 'main', { type: 'Atelier Dataset' });
        await pages.add(widget);
      }
      app.shell.activateById(id);
    }
  });
}

function page(context: Context, client: DatasetsClient, name: string): MainAreaWidget {
  const { atelier, trans, model, actions } = context;
  const content = new ContentWidget(trans, () =>
    React.createElement(DatasetView, {
      atelier,
      model,
      client,
      name,
      onNewVersion: one => void actions.register({ dataset: one.name }, client),
      onRemove: one => void actions.remove(client, one).then(gone => gone && widget.dispose()),
      onRemoveVersion: (one, version) => void actions.removeVersion(client, one, version)
    })
  );
  const widget = new MainAreaWidget({ content });
  Object.assign(widget.title, { label: name, icon: datasetsIcon, closable: true, caption: client.project });
  return widget;
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
