import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { services } from './plugin';

export { servicesIcon } from './icons';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [services];
