import { IAtelier } from '@atelier/api';
import { DOMAIN, atelierIcon, describe } from '@atelier/ui';
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';

// In the order in which a newcomer needs them; what another plugin brings is left out where that is switched off.
const COMMANDS = [
  'atelier:open-demo',
  'atelier:open-tutorial',
  'atelier:show-runs',
  'atelier:show-datasets',
  'atelier:show-models',
  'atelier:show-services',
  'atelier:show-catalog'
];

const TUTORIAL = 'tutorial.ipynb';

/** The section of Atelier in the launcher. */
export const launcher: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:launcher',
  description: "Adds Atelier's section to the launcher.",
  autoStart: true,
  requires: [IAtelier],
  optional: [ILauncher, ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    section: ILauncher | null,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const category = trans.__('Atelier');
    addDemo(app, atelier, trans);
    addTutorial(app, atelier, trans);
    palette?.addItem({ command: 'atelier:open-demo', category });
    palette?.addItem({ command: 'atelier:open-tutorial', category });
    void app.started.then(() =>
      COMMANDS.filter(command => app.commands.hasCommand(command)).forEach((command, rank) =>
        section?.add({ command, category, rank })
      )
    );
  }
};

/** The demo project: what is missing of it is copied, then its pipeline opens. */
function addDemo(app: JupyterFrontEnd, atelier: IAtelier, trans: TranslationBundle): void {
  app.commands.addCommand('atelier:open-demo', {
    label: args => (args.isPalette ? trans.__('Open the Demo Project') : trans.__('Demo Project')),
    caption: trans.__('Recognise handwritten digits: a pipeline that is ready to run'),
    icon: atelierIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => openDemo(app, atelier, pipeline => pipeline)
  });
}

/** The notebook that lies beside it. */
function addTutorial(app: JupyterFrontEnd, atelier: IAtelier, trans: TranslationBundle): void {
  app.commands.addCommand('atelier:open-tutorial', {
    label: args => (args.isPalette ? trans.__('Open the Tutorial') : trans.__('Tutorial')),
    caption: trans.__('Five minutes: from a notebook to an answering URL'),
    icon: atelierIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => openDemo(app, atelier, pipeline => pipeline.replace(/[^/]*$/, TUTORIAL))
  });
}

async function openDemo(
  app: JupyterFrontEnd,
  atelier: IAtelier,
  file: (pipeline: string) => string
): Promise<void> {
  try {
    const { path } = await atelier.local<{ path: string }>('local/demo', {});
    await app.commands.execute('docmanager:open', { path: file(path) });
  } catch (error) {
    const { message, hint } = describe(error);
    Notification.error([message, hint].filter(Boolean).join(' '), { autoClose: 8000 });
  }
}
