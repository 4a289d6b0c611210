import { LabIcon } from '@jupyterlab/ui-components';

/** A 16 × 16 drawing in the colours of Lab's own icons. */
function icon(name: string, drawing: string): LabIcon {
  const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">${drawing}</svg>`;
  return new LabIcon({ name: `atelier:${name}`, svgstr });
}

const FILL = 'class="jp-icon3" fill="#616161"';
const LINE = 'class="jp-icon3-stroke at-icon-stroke" fill="none" stroke="#616161" stroke-width="1.5"';

export const atelierIcon = icon(
  'atelier',
  `<path ${LINE} d="M3.2 4.5 8 1.8l4.8 2.7v5.6M12.8 11.4 8 14.2l-4.8-2.8V6"/><circle ${FILL} cx="8" cy="8" r="2.2"/>`
);
export const runsIcon = icon(
  'runs',
  `<path ${LINE} d="M6.5 3.5h7.5M6.5 8h7.5M6.5 12.5h7.5"/><path ${FILL} d="M1.5 1.5 5 3.5l-3.5 2zM1.5 6 5 8l-3.5 2zM1.5 10.5 5 12.5l-3.5 2z"/>`
);
export const datasetsIcon = icon(
  'datasets',
  `<ellipse ${LINE} cx="8" cy="3.7" rx="5.2" ry="2"/><path ${LINE} d="M2.8 3.7v8.6c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V3.7M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2"/>`
);
export const projectIcon = icon(
  'project',
  `<path ${LINE} d="M1.8 4.2h4.4l1.4 1.6h6.6v7H1.8z"/><path ${FILL} d="M6.6 8h2.8v2.8H6.6z"/>`
);
export const templatesIcon = icon(
  'templates',
  `<path ${LINE} d="M2.2 2.2h4.6v4.6H2.2zM9.2 2.2h4.6v4.6H9.2zM2.2 9.2h4.6v4.6H2.2z"/><path ${LINE} d="M11.5 9v5M9 11.5h5"/>`
);
export const compareIcon = icon(
  'compare',
  `<path ${LINE} d="M2 3h4.5v10H2zM9.5 3H14v10H9.5z"/><path ${FILL} d="M3.2 5h2v1.3h-2zM10.7 8h2v1.3h-2z"/>`
);

// One shape for each state, so that nobody needs to tell colours apart.
export const waitingIcon = icon('waiting', `<circle ${LINE} cx="8" cy="8" r="5.2" stroke-dasharray="2 2"/>`);
export const queuedIcon = icon(
  'queued',
  `<circle ${LINE} cx="8" cy="8" r="5.8"/><path ${LINE} d="M8 4.5V8l2.3 1.6"/>`
);
export const startingIcon = icon(
  'starting',
  `<circle ${LINE} cx="8" cy="8" r="5.8"/><circle ${FILL} cx="8" cy="8" r="2"/>`
);
export const runningIcon = icon(
  'running',
  `<path ${LINE} d="M8 2.2A5.8 5.8 0 1 1 2.2 8" stroke-linecap="round"/>`
);
export const onIcon = icon(
  'on',
  `<circle ${FILL} cx="8" cy="8" r="6.6"/><path class="at-icon-inverse-fill" fill="#fff" d="m6.3 4.9 4.9 3.1-4.9 3.1z"/>`
);
export const asleepIcon = icon(
  'asleep',
  `<path ${LINE} stroke-linejoin="round" d="M13.4 9.6A5.8 5.8 0 1 1 6.4 2.6a4.6 4.6 0 0 0 7 7z"/>`
);
export const stoppingIcon = icon(
  'stopping',
  `<circle ${LINE} cx="8" cy="8" r="5.8"/><path ${FILL} d="M6 6h4v4H6z"/>`
);
export const doneIcon = icon(
  'done',
  `<circle ${FILL} cx="8" cy="8" r="6.6"/><path class="at-icon-inverse" fill="none" stroke="#fff" stroke-width="1.7" d="m5 8.2 2.1 2.1L11 6"/>`
);
export const failedIcon = icon(
  'failed',
  `<circle ${FILL} cx="8" cy="8" r="6.6"/><path class="at-icon-inverse" fill="none" stroke="#fff" stroke-width="1.7" d="m5.6 5.6 4.8 4.8M10.4 5.6l-4.8 4.8"/>`
);
export const stoppedIcon = icon(
  'stopped',
  `<circle ${FILL} cx="8" cy="8" r="6.6"/><path class="at-icon-inverse-fill" fill="#fff" d="M5.7 5.7h4.6v4.6H5.7z"/>`
);
export const skippedIcon = icon(
  'skipped',
  `<circle ${LINE} cx="8" cy="8" r="5.8"/><path ${LINE} d="m4.2 11.8 7.6-7.6"/>`
);
