import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { runs } from './plugin';

export { LogView, LogViewProps } from './log/LogView';
export { Chart } from './results/Chart';
export { ChartOption } from './results/model';
export { Table } from './results/Table';
export { ResultsView, ResultsViewProps } from './results/ResultsView';
export { CommandIDs as RunCommandIDs } from './commands';
export { addOutputAction, OutputAction } from './panel/outputActions';

/** The plugins of this feature. */
export const plugins: JupyterFrontEndPlugin<unknown>[] = [runs];
