// Everything that is only needed once a pipeline is open: React Flow, the forms and their validator.
export { createContent } from './content';
export { askRun } from './panels/runDialog';
export { layout } from './canvas/layout';
