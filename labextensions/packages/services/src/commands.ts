import { addPages, orSay, Shell } from '@atelier/ui';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import * as React from 'react';

import { ServiceActions } from './actions';
import { askHow } from './deploy/DeployDialog';
import { loadOffer } from './deploy/offer';
import { showProgress } from './deploy/Progress';
import { definitionOf, nameOf, wishOf } from './deploy/wish';
import { servicesIcon } from './icons';
import { Revision, ServicesClient, ServicesModel } from './model';
import { ServiceView } from './ServiceView';

/** Ids of the commands about services. */
export namespace CommandIDs {
  export const show = 'atelier:show-services';
  export const open = 'atelier:open-service';
  export const deploy = 'atelier:deploy-service';
  export const deployFile = 'atelier:deploy-service-file';
}

type Definition = Record<string, unknown>;

/** What the commands work with. */
export interface ServicesContext extends Shell {
  model: ServicesModel;
  actions: ServiceActions;
  files: IFileBrowserFactory | null;
}

/** Add them all. */
export function addCommands(context: ServicesContext): void {
  addOpen(context);
  addDeploy(context);
  addDeployFile(context);
}

function addOpen(context: ServicesContext): void {
  const { atelier, trans, model, actions } = context;
  addPages(context, {
    kind: 'service',
    icon: servicesIcon,
    type: 'Atelier Service',
    command: CommandIDs.open,
    label: trans.__('Open Service'),
    begin: (project, name, close) => {
      const client = new ServicesClient(atelier, project);
      return () =>
        React.createElement(ServiceView, {
          atelier,
          model,
          client,
          actions,
          name,
          onRemoved: close,
          onDeploy: (revision: Revision | undefined) =>
            void deploy(context, client, { ...revision?.definition, name }, true)
        });
    }
  });
}

function addDeploy(context: ServicesContext): void {
  const { app, atelier, trans } = context;
  const names = ['project', 'model', 'run', 'step', 'output'];
  const properties = Object.fromEntries(names.map(name => [name, { type: 'string' as const }]));
  app.commands.addCommand(CommandIDs.deploy, {
    label: trans.__('Deploy a Service…'),
    icon: servicesIcon,
    describedBy: { args: { type: 'object', properties } },
    execute: async args => {
      const client = new ServicesClient(atelier, String(args.project ?? atelier.project));
      const [model, run, step, output] = [args.model, args.run, args.step, args.output].map(text =>
        String(text ?? '')
      );
      const from = run ? { output: { run, step, output: output || 'model' } } : { model };
      await deploy(context, client, { name: nameOf(model || step), ...from }, false);
    }
  });
}

/** A definition that is a file: `NAME.service.yaml`. */
function addDeployFile(context: ServicesContext): void {
  const { app, atelier, trans } = context;
  app.commands.addCommand(CommandIDs.deployFile, {
    label: trans.__('Deploy Service'),
    icon: servicesIcon,
    describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } },
    isVisible: args => Boolean(args.path) || pickedFile(context) !== '',
    execute: async args => {
      const path = app.serviceManager.contents.localPath(String(args.path ?? '') || pickedFile(context));
      let definition: Definition = {};
      const read = await orSay(trans.__('%1 cannot be deployed', path), async () => {
        ({ definition } = await atelier.local<{ definition: Definition }>('local/service', { path }));
      });
      if (read) {
        await deploy(context, new ServicesClient(atelier, atelier.project), definition, false);
      }
    }
  });
  app.contextMenu.addItem({
    command: CommandIDs.deployFile,
    selector: '.jp-DirListing-item[data-isdir="false"]',
    rank: 62
  });
}

/** The one chosen file, if it defines a service. */
function pickedFile({ files }: ServicesContext): string {
  const chosen = [...(files?.tracker.currentWidget?.selectedItems() ?? [])];
  return chosen.length === 1 && chosen[0].name.endsWith('.service.yaml') ? chosen[0].path : '';
}

/** Ask how, deploy, show how it goes, and open the service's page. */
async function deploy(
  context: ServicesContext,
  client: ServicesClient,
  before: Definition,
  fixed: boolean
): Promise<void> {
  const { app, atelier, trans, model } = context;
  const load = () => loadOffer(atelier, client.project);
  const wish = await askHow(trans, { wish: wishOf(before), fixed, load });
  if (!wish) {
    return;
  }
  const key = crypto.randomUUID();
  const service = wish.name.trim();
  const done = await orSay(trans.__('It could not be deployed'), () =>
    client.deploy(definitionOf(wish, before), key)
  );
  if (done) {
    await showProgress(trans, { model, client, service });
    await app.commands.execute(CommandIDs.open, { project: client.project, name: service });
  }
}
