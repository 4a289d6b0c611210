import { LabIcon } from '@jupyterlab/ui-components';

const svg = (body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">${body}</svg>`;

/** A pipeline: three steps, joined. */
export const pipelineIcon = new LabIcon({
  name: '@atelier/pipelines:pipeline',
  svgstr: svg(
    '<g class="jp-icon3 jp-icon-selectable" fill="#616161"><rect x="1" y="6" width="4" height="4" rx="1"/>' +
      '<rect x="11" y="2" width="4" height="4" rx="1"/><rect x="11" y="10" width="4" height="4" rx="1"/>' +
      '<path d="M5 7.5h2.2c.5 0 .8-.3.8-.8V5.500c0-1.100.9-2 2-2h1v1h-1c-.6 0-1 .4-1 1v1.200c0 .5-.1.900-.4 1.300.3.4.4.8.4 1.300V10.500c0 .6.4 1 1 1h1v1h-1c-1.100 0-2-.9-2-2V9.300c0-.5-.3-.8-.8-.8H5z"/></g>'
  )
});

/** A step of a template. */
export const templateIcon = new LabIcon({
  name: '@atelier/pipelines:template',
  svgstr: svg(
    '<g class="jp-icon3" fill="#616161"><path d="M8 1 14.500 4.500v7L8 15 1.500 11.500v-7zm0 1.150L3.400 4.600 8 7.100l4.600-2.500zM2.500 5.300v5.600L7.500 13.600V8zm11 0L8.500 8v5.600l5-2.700z"/></g>'
  )
});

/** A comment. */
export const commentIcon = new LabIcon({
  name: '@atelier/pipelines:comment',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M2.500 2h11c.8 0 1.500.7 1.500 1.500v7c0 .8-.7 1.500-1.500 1.500H8l-3.500 3v-3h-2C1.700 12 1 11.300 1 10.500v-7C1 2.700 1.700 2 2.500 2zm0 1c-.3 0-.5.2-.5.5v7c0 .3.2.5.5.5h3v1.800l2.100-1.800h5.900c.3 0 .5-.2.5-.5v-7c0-.3-.2-.5-.5-.5z"/>'
  )
});

/** Bring the steps into order. */
export const layoutIcon = new LabIcon({
  name: '@atelier/pipelines:layout',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M1 2h5v4H1zm1 1v2h3V3zm8-1h5v4h-5zm1 1v2h3V3zM1 10h5v4H1zm1 1v2h3v-2zm8-1h5v4h-5zm1 1v2h3v-2zM6.500 3.500h3v1h-3zm0 8h3v1h-3zM7.500 5h1v6h-1z"/>'
  )
});

/** See all steps. */
export const fitIcon = new LabIcon({
  name: '@atelier/pipelines:fit',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M1 1h5v1.300H2.300V6H1zm9 0h5v5h-1.300V2.300H10zM1 10h1.300v3.700H6V15H1zm12.700 0H15v5h-5v-1.300h3.700zM5 5h6v6H5zm1.200 1.200v3.600h3.600V6.200z"/>'
  )
});

/** Steps in line. */
export const alignIcon = new LabIcon({
  name: '@atelier/pipelines:align',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M1.500 1h1.200v14H1.500zM4 3h10v3.500H4zm1.200 1.200v1.100h7.600V4.200zM4 9.500h6V13H4zm1.200 1.200v1.100h3.600v-1.100z"/>'
  )
});
