import { LabIcon } from '@jupyterlab/ui-components';

const LINE = 'class="jp-icon3-stroke at-icon-stroke" fill="none" stroke="#616161" stroke-width="1.5"';
const FILL = 'class="jp-icon3" fill="#616161"';

function icon(name: string, drawing: string): LabIcon {
  const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">${drawing}</svg>`;
  return new LabIcon({ name: `atelier:${name}`, svgstr });
}

/** A model: a small network. */
export const modelsIcon = icon(
  'models',
  `<path ${LINE} d="M4 4.2 8 8 4 11.8M8 8h4.2"/><circle ${FILL} cx="3.4" cy="3.6" r="2"/><circle ${FILL} cx="3.4" cy="12.4" r="2"/><circle ${FILL} cx="8" cy="8" r="2"/><circle ${FILL} cx="13" cy="8" r="2"/>`
);

/** That a maintainer approved a version. */
export const approvedIcon = icon(
  'approved',
  `<path ${LINE} d="M8 1.8 13 3.6v4c0 3-2 5.2-5 6.6-3-1.4-5-3.6-5-6.6v-4z"/><path ${LINE} d="m5.6 7.8 1.8 1.8 3.2-3.4"/>`
);
