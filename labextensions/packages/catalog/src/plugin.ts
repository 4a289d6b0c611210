import { IAtelier } from '@atelier/api';
import { addPanel, ContentWidget, DOMAIN, templatesIcon } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CatalogPanel } from './Panel';
import { TemplateView } from './TemplateView';

namespace CommandIDs {
  export const show = 'atelier:show-catalog';
  export const open = 'atelier:open-template';
}

/** Templates with their documentation, images, flavors. */
export const catalog: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:catalog',
  description: 'Shows what the platform offers to pipelines.',
  autoStart: true,
  requires: [IAtelier, IRenderMimeRegistry],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    addPanel(
      { app, atelier, trans, restorer },
      {
        id: 'atelier-catalog',
        icon: templatesIcon,
        caption: trans.__('Catalog'),
        rank: 640,
        type: 'Atelier Catalog',
        command: CommandIDs.show,
        label: trans.__('Show Catalog of Templates, Images and Flavors'),
        draw: () =>
          React.createElement(CatalogPanel, {
            atelier,
            onOpen: (name: string) => void app.commands.execute(CommandIDs.open, { name })
          })
      }
    );
    const tracker = new WidgetTracker<MainAreaWidget>({ namespace: 'atelier-template' });
    addOpen(app, atelier, rendermime, trans, tracker);
    palette?.addItem({ command: CommandIDs.show, category: trans.__('Atelier') });
    void restorer?.restore(tracker, {
      command: CommandIDs.open,
      args: widget => ({ name: nameOf(widget) }),
      name: widget => widget.id,
      when: app.serviceManager.ready
    });
  }
};

function addOpen(
  app: JupyterFrontEnd,
  atelier: IAtelier,
  rendermime: IRenderMimeRegistry,
  trans: TranslationBundle,
  tracker: WidgetTracker<MainAreaWidget>
): void {
  app.commands.addCommand(CommandIDs.open, {
    label: trans.__('Open Template'),
    icon: templatesIcon,
    describedBy: {
      args: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
    },
    execute: async args => {
      const name = String(args.name);
      const id = `template:${name}`;
      if (!tracker.find(one => one.id === id)) {
        const content = new ContentWidget(trans, () =>
          React.createElement(TemplateView, { atelier, rendermime, name })
        );
        const widget = new MainAreaWidget({ content });
        widget.id = id;
        Object.assign(widget.title, { label: name, icon: templatesIcon, closable: true });
        app.shell.add(widget, 'main', { type: 'Atelier Template' });
        await tracker.add(widget);
      }
      app.shell.activateById(id);
    }
  });
}

function nameOf(widget: MainAreaWidget): string {
  return widget.id.slice('template:'.length);
}
