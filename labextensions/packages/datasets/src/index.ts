import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { datasets } from './plugin';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [datasets];
