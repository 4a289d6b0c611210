import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { models } from './plugin';

export { CopyText } from './CopyText';
export { isModel } from './candidates';
export { modelsIcon } from './icons';
export { ModelsClient } from './model';
export type { Model, Version, VersionDetail } from './model';
export { CommandIDs as ModelCommandIDs } from './commands';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [models];
