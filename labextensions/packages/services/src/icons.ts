import { LabIcon } from '@jupyterlab/ui-components';

const LINE = 'class="jp-icon3-stroke at-icon-stroke" fill="none" stroke="#616161" stroke-width="1.5"';
const FILL = 'class="jp-icon3" fill="#616161"';

/** A service: something that answers. */
export const servicesIcon = new LabIcon({
  name: 'atelier:services',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">' +
    `<path ${LINE} d="M2 3h12v4H2zM2 9h12v4H2z"/>` +
    `<circle ${FILL} cx="4.8" cy="5" r="1"/><circle ${FILL} cx="4.8" cy="11" r="1"/>` +
    `<path ${LINE} d="M8 5h3.5M8 11h3.5"/></svg>`
});
