import { IAtelier } from '@atelier/api';
import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ContentWidget, LazyPanel } from './widget';

/** What places are made in. */
export interface Shell {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  restorer: ILayoutRestorer | null;
}

/** A panel of the left side bar, and the command that shows it. */
export function addPanel(
  { app, trans, restorer }: Shell,
  panel: {
    id: string;
    icon: LabIcon;
    caption: string;
    rank: number;
    type: string;
    command: string;
    label: string;
    draw: () => React.ReactNode;
  }
): void {
  const { id, icon, rank, type } = panel;
  const widget = new LazyPanel({ ...panel, trans, restored: app.restored });
  app.shell.add(widget, 'left', { rank, type });
  restorer?.add(widget, id);
  app.commands.addCommand(panel.command, {
    label: panel.label,
    icon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.shell.activateById(id)
  });
}

/**
 * Pages of one kind, a tab for each thing of a project: the command opens one, and a reload of Lab those that were open.
 *
 * Their widgets are called `<kind>:<project>:<name>`.
 */
export function addPages(
  { app, trans, restorer, atelier }: Shell,
  pages: {
    kind: string;
    icon: LabIcon;
    type: string;
    command: string;
    label: string;
    /** Once for each page: what draws it. */
    begin: (project: string, name: string, close: () => void) => () => React.ReactNode;
  }
): void {
  const { kind, command, icon } = pages;
  const tracker = new WidgetTracker<MainAreaWidget>({ namespace: `atelier-${kind}` });
  const open = async (project: string, name: string): Promise<void> => {
    const id = `${kind}:${project}:${name}`;
    if (!tracker.find(one => one.id === id)) {
      const close = (): void => widget.dispose();
      const widget = new MainAreaWidget({
        content: new ContentWidget(trans, pages.begin(project, name, close))
      });
      widget.id = id;
      Object.assign(widget.title, { label: name, icon, closable: true, caption: project });
      app.shell.add(widget, 'main', { type: pages.type });
      await tracker.add(widget);
    }
    app.shell.activateById(id);
  };
  const texts = { project: { type: 'string' as const }, name: { type: 'string' as const } };
  app.commands.addCommand(command, {
    label: pages.label,
    icon,
    describedBy: { args: { type: 'object', properties: texts, required: ['name'] } },
    execute: args => open(String(args.project ?? atelier.project), String(args.name))
  });
  void restorer?.restore(tracker, {
    command,
    args: widget => {
      const [, project, ...name] = widget.id.split(':');
      return { project, name: name.join(':') };
    },
    name: widget => widget.id,
    when: app.serviceManager.ready
  });
}
