import { JupyterFrontEndPlugin } from '@jupyterlab/application';

export { LogView, LogViewProps } from './log/LogView';
export { ResultsView, ResultsViewProps } from './results/ResultsView';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [];
