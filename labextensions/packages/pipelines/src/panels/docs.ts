import { ApiError } from '@atelier/api';
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import { MimeModel } from '@jupyterlab/rendermime';
import { TranslationBundle } from '@jupyterlab/translation';
import { Panel as LuminoPanel, Widget } from '@lumino/widgets';

import { Port } from '../document/ports';
import { Template } from '../model/catalog';
import { Panel } from './services';

/** Show a template's documentation: its README and its ports. */
export async function showDocs(panel: Panel, name: string): Promise<void> {
  try {
    const template = await panel.view.catalog.detail(name);
    const body = new LuminoPanel();
    body.addClass('at-Docs');
    body.addWidget(await markdown(panel, textOf(panel.trans, template)));
    await showDialog({
      title: template.title,
      body: body as Widget,
      buttons: [Dialog.okButton({ label: panel.trans.__('Close') })]
    });
  } catch (error) {
    void showErrorMessage(panel.trans.__('No documentation'), (error as ApiError).message);
  }
}

async function markdown(panel: Panel, source: string): Promise<Widget> {
  const renderer = panel.rendermime.createRenderer('text/markdown');
  await renderer.renderModel(new MimeModel({ data: { 'text/markdown': source } }));
  return renderer;
}

function textOf(trans: TranslationBundle, template: Template): string {
  const ports = (heading: string, list: Port[]): string =>
    list.length
      ? `\n\n**${heading}**\n\n` +
        list
          .map(port => `- \`${port.name}\` (${port.type})${port.description && `: ${port.description}`}`)
          .join('\n')
      : '';
  const about = template.readme.replace(/^# .*\n/, '') || template.description;
  return `${about}${ports(trans.__('Inputs'), template.inputs)}${ports(trans.__('Outputs'), template.outputs)}`;
}
