import { IAtelier } from '@atelier/api';
import { ContentWidget } from '@atelier/ui';
import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ModelActions } from './actions';
import { modelsIcon } from './icons';
import { ModelsClient, ModelsModel, Output } from './model';
import { ModelView } from './ModelView';

/** Ids of the commands about models. */
export namespace CommandIDs {
  export const show = 'atelier:show-models';
  export const open = 'atelier:open-model';
  export const register = 'atelier:register-model';
}

// Of other plugins; what is switched off is not offered.
const DEPLOY = 'atelier:deploy-service';
const OPEN_RUN = 'atelier:open-run';
const OPEN_DATASET = 'atelier:open-dataset';

/** What the commands work with. */
export interface ModelsContext {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  model: ModelsModel;
  actions: ModelActions;
  pages: WidgetTracker<MainAreaWidget>;
  files: IFileBrowserFactory | null;
}

/** Add them all. */
export function addCommands(context: ModelsContext): void {
  addOpen(context);
  addRegister(context);
}

function addOpen(context: ModelsContext): void {
  const { app, atelier, trans, pages } = context;
  const texts = { project: { type: 'string' as const }, name: { type: 'string' as const } };
  app.commands.addCommand(CommandIDs.open, {
    label: trans.__('Open Model'),
    icon: modelsIcon,
    describedBy: { args: { type: 'object', properties: texts, required: ['name'] } },
    execute: async args => {
      const project = String(args.project ?? atelier.project);
      const name = String(args.name);
      const id = `model:${project}:${name}`;
      if (!pages.find(one => one.id === id)) {
        const widget = page(context, new ModelsClient(atelier, project), name);
        widget.id = id;
        app.shell.add(widget, 'main', { type: 'Atelier Model' });
        await pages.add(widget);
      }
      app.shell.activateById(id);
    }
  });
}

function page(context: ModelsContext, client: ModelsClient, name: string): MainAreaWidget {
  const { app, atelier, trans, model, actions } = context;
  const { project } = client;
  const execute = (command: string, args: Record<string, string>): void => {
    void app.commands.execute(command, { project, ...args });
  };
  const content = new ContentWidget(trans, () =>
    React.createElement(ModelView, {
      atelier,
      model,
      client,
      actions,
      name,
      onRemoved: () => widget.dispose(),
      onRun: run => execute(OPEN_RUN, { run }),
      onDataset: dataset => execute(OPEN_DATASET, { name: dataset }),
      onDeploy: app.commands.hasCommand(DEPLOY)
        ? reference => execute(DEPLOY, { model: reference })
        : undefined
    })
  );
  const widget = new MainAreaWidget({ content });
  Object.assign(widget.title, { label: name, icon: modelsIcon, closable: true, caption: project });
  return widget;
}

function addRegister(context: ModelsContext): void {
  const { app, trans, actions, atelier } = context;
  const texts = ['project', 'run', 'step', 'output', 'path'].map(name => [name, { type: 'string' as const }]);
  const properties = { ...Object.fromEntries(texts), fromBrowser: { type: 'boolean' as const } };
  app.commands.addCommand(CommandIDs.register, {
    label: args => (args.fromBrowser ? trans.__('Register as Model') : trans.__('Register Model…')),
    icon: modelsIcon,
    describedBy: { args: { type: 'object', properties } },
    isVisible: args => !args.fromBrowser || pickedFolder(context) !== '',
    execute: async args => {
      const project = String(args.project ?? atelier.project);
      const chosen = args.fromBrowser ? pickedFolder(context) : String(args.path ?? '');
      const path = chosen && app.serviceManager.contents.localPath(chosen);
      const output = outputOf(args);
      const name = await actions.register(new ModelsClient(atelier, project), {
        ...(output ? { output } : {}),
        ...(path ? { path } : {})
      });
      if (name) {
        await app.commands.execute(CommandIDs.open, { project, name });
      }
    }
  });
  app.contextMenu.addItem({
    command: CommandIDs.register,
    args: { fromBrowser: true },
    selector: '.jp-DirListing-item[data-isdir="true"]',
    rank: 61
  });
}

function outputOf(args: { run?: unknown; step?: unknown; output?: unknown }): Output | null {
  const [run, step, output] = [args.run, args.step, args.output].map(text => String(text ?? ''));
  return run && step && output ? { run, step, output } : null;
}

/** The one folder that is chosen in the file browser. */
function pickedFolder({ files }: ModelsContext): string {
  const chosen = [...(files?.tracker.currentWidget?.selectedItems() ?? [])];
  return chosen.length === 1 && chosen[0].type === 'directory' ? chosen[0].path : '';
}
