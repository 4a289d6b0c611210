import { JupyterFrontEndPlugin } from '@jupyterlab/application';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [];
