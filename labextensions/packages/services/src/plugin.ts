import { IAtelier } from '@atelier/api';
import { isModel } from '@atelier/models';
import { addOutputAction } from '@atelier/runs';
import { addPanel, DOMAIN } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

import { ServiceActions } from './actions';
import { addCommands, CommandIDs, ServicesContext } from './commands';
import { servicesIcon } from './icons';
import { ServicesModel } from './model';
import { ServicesPanel } from './Panel';

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
    const context = { app, atelier, trans, restorer, model, actions, files };
    addCommands(context);
    addList(context);
    addToOutputs(context);
    const category = trans.__('Atelier');
    [CommandIDs.show, CommandIDs.deploy].forEach(command => palette?.addItem({ command, category }));
  }
};

function addList(context: ServicesContext): void {
  const { app, atelier, trans, model } = context;
  addPanel(context, {
    id: 'atelier-services',
    icon: servicesIcon,
    caption: trans.__('Services'),
    rank: 634,
    type: 'Atelier Services',
    command: CommandIDs.show,
    label: trans.__('Show Services'),
    draw: () =>
      React.createElement(ServicesPanel, {
        atelier,
        model,
        onOpen: one => void app.commands.execute(CommandIDs.open, { project: one.project, name: one.name }),
        onDeploy: () => void app.commands.execute(CommandIDs.deploy)
      })
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
