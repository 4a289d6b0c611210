import { addPages, Shell } from '@atelier/ui';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
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
export interface ModelsContext extends Shell {
  model: ModelsModel;
  actions: ModelActions;
  files: IFileBrowserFactory | null;
}

/** Add them all. */
export function addCommands(context: ModelsContext): void {
  addOpen(context);
  addRegister(context);
}

function addOpen(context: ModelsContext): void {
  const { app, atelier, trans, model, actions } = context;
  addPages(context, {
    kind: 'model',
    icon: modelsIcon,
    type: 'Atelier Model',
    command: CommandIDs.open,
    label: trans.__('Open Model'),
    begin: (project, name, close) => {
      const client = new ModelsClient(atelier, project);
      const execute = (command: string, args: Record<string, string>): void => {
        void app.commands.execute(command, { project, ...args });
      };
      return () =>
        React.createElement(ModelView, {
          atelier,
          model,
          client,
          actions,
          name,
          onRemoved: close,
          onRun: run => execute(OPEN_RUN, { run }),
          onDataset: dataset => execute(OPEN_DATASET, { name: dataset }),
          onDeploy: app.commands.hasCommand(DEPLOY)
            ? reference => execute(DEPLOY, { model: reference })
            : undefined
        });
    }
  });
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
