import { IAtelier } from '@atelier/api';
import { ContentWidget, orSay } from '@atelier/ui';
import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { TranslationBundle } from '@jupyterlab/translation';
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
export interface ServicesContext {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  model: ServicesModel;
  actions: ServiceActions;
  pages: WidgetTracker<MainAreaWidget>;
  files: IFileBrowserFactory | null;
}

/** Add them all. */
export function addCommands(context: ServicesContext): void {
  addOpen(context);
  addDeploy(context);
  addDeployFile(context);
}

function addOpen(context: ServicesContext): void {
  const { app, atelier, trans, pages } = context;
  const texts = { project: { type: 'string' as const }, name: { type: 'string' as const } };
  app.commands.addCommand(CommandIDs.open, {
    label: trans.__('Open Service'),
    icon: servicesIcon,
    describedBy: { args: { type: 'object', properties: texts, required: ['name'] } },
    execute: async args => {
      const project = String(args.project ?? atelier.project);
      const name = String(args.name);
      const id = `service:${project}:${name}`;
      if (!pages.find(one => one.id === id)) {
        const widget = page(context, new ServicesClient(atelier, project), name);
        widget.id = id;
        app.shell.add(widget, 'main', { type: 'Atelier Service' });
        await pages.add(widget);
      }
      app.shell.activateById(id);
    }
  });
}

function page(context: ServicesContext, client: ServicesClient, name: string): MainAreaWidget {
  const { atelier, trans, model, actions } = context;
  const content = new ContentWidget(trans, () =>
    React.createElement(ServiceView, {
      atelier,
      model,
      client,
      actions,
      name,
      onRemoved: () => widget.dispose(),
      onDeploy: (revision: Revision | undefined) =>
        void deploy(context, client, { ...revision?.definition, name }, true)
    })
  );
  const widget = new MainAreaWidget({ content });
  Object.assign(widget.title, { label: name, icon: servicesIcon, closable: true, caption: client.project });
  return widget;
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
