import { Atelier, IAtelier, Phrases } from '@atelier/api';
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
    const speech = Phrases.load(translator?.languageCode ?? '');
    const atelier = new Atelier(app.serviceManager.serverSettings, speech);
    const { version } = require('../package.json');
    void app.restored.then(() => {
      atelier.start();
      tellMismatch(atelier, version).catch(() => undefined); // the status bar says that the server is away
    });
    return atelier;
  }
};
