import { IAtelier } from '@atelier/api';
import { isModel } from '@atelier/models';
import { addOutputAction } from '@atelier/runs';
import { DOMAIN, LazyPanel } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { ServiceActions } from './actions';
import { addCommands, CommandIDs, ServicesContext } from './commands';
import { servicesIcon } from './icons';
import { ServicesModel } from './model';
import { ServicesPanel } from './Panel';

const PANEL = 'atelier-services';

/** Services: deploy, watch, try, move traffic, roll back, keys, figures, logs. */
export const services: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:services',
  description: 'Lists the services of the project, live, deploys new ones and tries them.',
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
    const model = new ServicesModel(atelier);
    const actions = new ServiceActions(trans);
    const pages = new WidgetTracker<MainAreaWidget>({ namespace: 'atelier-service' });
    const context = { app, atelier, trans, model, actions, pages, files };
    addCommands(context);
    addPanel(context, restorer);
    addToOutputs(context);
    const category = trans.__('Atelier');
    [CommandIDs.show, CommandIDs.deploy].forEach(command => palette?.addItem({ command, category }));
    void restorer?.restore(pages, {
      command: CommandIDs.open,
      args: widget => argsOf(widget.id),
      name: widget => widget.id,
      when: app.serviceManager.ready
    });
  }
};

/** `service:<project>:<name>`, as the widgets are called. */
function argsOf(id: string): { project: string; name: string } {
  const [, project, name] = id.split(':');
  return { project, name };
}

function addPanel(context: ServicesContext, restorer: ILayoutRestorer | null): void {
  const { app, atelier, trans, model } = context;
  const panel = new LazyPanel({
    id: PANEL,
    icon: servicesIcon,
    caption: trans.__('Services'),
    trans,
    restored: app.restored,
    draw: () =>
      React.createElement(ServicesPanel, {
        atelier,
        model,
        onOpen: one => void app.commands.execute(CommandIDs.open, { project: one.project, name: one.name }),
        onDeploy: () => void app.commands.execute(CommandIDs.deploy)
      })
  });
  app.shell.add(panel, 'left', { rank: 634, type: 'Atelier Services' });
  restorer?.add(panel, PANEL);
  app.commands.addCommand(CommandIDs.show, {
    label: trans.__('Show Services'),
    icon: servicesIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.shell.activateById(PANEL)
  });
}

/** What a step left as a model can be deployed where it is listed. */
function addToOutputs({ app, trans }: ServicesContext): void {
  addOutputAction({
    icon: servicesIcon,
    label: artifact => trans.__('Deploy %1', artifact.name),
    fits: isModel,
    run: (project, { run, step, name }) =>
      void app.commands.execute(CommandIDs.deploy, { project, run, step, output: name })
  });
}
