import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { pipelines } from './plugin';

export { CommandIDs as PipelineCommandIDs } from './commands';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [pipelines];
