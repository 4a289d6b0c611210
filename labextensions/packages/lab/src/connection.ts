import { Atelier, IAtelier } from '@atelier/api';
import { tellMismatch } from '@atelier/projects';
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator } from '@jupyterlab/translation';

declare function require(path: string): { version: string };

/** The one connection of this browser tab to the platform. */
export const connection: JupyterFrontEndPlugin<IAtelier> = {
  id: '@atelier/lab:connection',
  description: "Provides the platform's API, its event feed and the current project.",
  autoStart: true,
  provides: IAtelier,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null): IAtelier => {
    const code = translator?.languageCode ?? 'en';
    const language = code.startsWith('en') ? '' : code.replace('-', '_');
    const atelier = new Atelier(app.serviceManager.serverSettings, language);
    const { version } = require('../package.json');
    void app.restored.then(() => {
      atelier.start();
      tellMismatch(atelier, version).catch(() => undefined); // the status bar says that the server is away
    });
    return atelier;
  }
};
