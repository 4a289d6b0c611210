import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { catalog } from './plugin';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [catalog];
