import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { projects } from './plugin';

export { tellMismatch } from './connection';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [projects];
