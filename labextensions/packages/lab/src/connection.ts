import { Atelier, IAtelier } from '@atelier/api';
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

/** The one connection of this browser tab to the platform. */
export const connection: JupyterFrontEndPlugin<IAtelier> = {
  id: '@atelier/lab:connection',
  description: "Provides the platform's API, its event feed and the current project.",
  autoStart: true,
  provides: IAtelier,
  activate: (app: JupyterFrontEnd): IAtelier => {
    const atelier = new Atelier(app.serviceManager.serverSettings);
    void app.restored.then(() => atelier.start());
    return atelier;
  }
};
