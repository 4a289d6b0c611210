import { IAtelier, Run } from '@atelier/api';
import { addPanel, DOMAIN, runsIcon, SettingTexts, translateSettings } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { RunActions } from './actions';
import { addCommands, CommandIDs, RunsContext } from './commands';
import { RunsModel } from './model/runs';
import { Notices, Wanted } from './notices';
import { RunsPanel } from './panel/RunsPanel';

/** The list of runs, a page for each, and what can be done with them. */
export const runs: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:runs',
  description: 'Lists the runs of the project, live, and opens them.',
  autoStart: true,
  requires: [IAtelier],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const actions = new RunActions(atelier, app.commands, app.serviceManager.contents, trans);
    const pages = new WidgetTracker<MainAreaWidget>({ namespace: 'atelier-run' });
    const comparisons = new WidgetTracker<MainAreaWidget>({ namespace: 'atelier-comparison' });
    const context = { app, atelier, trans, actions, pages, comparisons, model: new RunsModel(atelier) };
    addCommands(context);
    addList(context, restorer);
    addMenu(app);
    const category = trans.__('Atelier');
    palette?.addItem({ command: CommandIDs.show, category });
    palette?.addItem({ command: CommandIDs.compare, category });
    restore(app, restorer, pages, CommandIDs.open);
    restore(app, restorer, comparisons, CommandIDs.compare);
    follow(new Notices(atelier, app.commands, trans), settings, trans);
  }
};

function restore(
  app: JupyterFrontEnd,
  restorer: ILayoutRestorer | null,
  tracker: WidgetTracker<MainAreaWidget>,
  command: string
): void {
  void restorer?.restore(tracker, {
    command,
    args: widget => argsOf(widget.id),
    name: widget => widget.id,
    when: app.serviceManager.ready
  });
}

/** `run:<project>:<run>` and `compare:<project>:<run>:<other>`, as the widgets are called. */
function argsOf(id: string): { project: string; run: string; other: string } {
  const [, project, run, other = ''] = id.split(':');
  return { project, run, other };
}

function addList(context: RunsContext, restorer: ILayoutRestorer | null): void {
  const { app, atelier, trans, model } = context;
  const act = (id: string) => (run: Run) =>
    void app.commands.execute(id, { project: run.project, run: run.id });
  addPanel(
    { app, atelier, trans, restorer },
    {
      id: 'atelier-runs',
      icon: runsIcon,
      caption: trans.__('Runs'),
      rank: 620,
      type: 'Atelier Runs',
      command: CommandIDs.show,
      label: trans.__('Show Runs'),
      draw: () =>
        React.createElement(RunsPanel, {
          atelier,
          model,
          onOpen: act(CommandIDs.open),
          onCancel: act(CommandIDs.cancel),
          onAgain: act(CommandIDs.again),
          onCompare: (one: Run, other: Run) =>
            void app.commands.execute(CommandIDs.compare, {
              project: one.project,
              run: one.id,
              other: other.id
            }),
          onDemo: () => void app.commands.execute('atelier:open-demo')
        })
    }
  );
}

function addMenu(app: JupyterFrontEnd): void {
  const selector = '.at-RunRow';
  [CommandIDs.open, CommandIDs.again, CommandIDs.cancel, CommandIDs.compare, CommandIDs.openPipeline].forEach(
    (command, rank) => app.contextMenu.addItem({ command, selector, rank })
  );
}

function settingTexts(trans: TranslationBundle): SettingTexts {
  return {
    title: trans.__('Atelier Runs'),
    description: trans.__('Runs of pipelines.'),
    properties: {
      notify: [
        trans.__('Tell when my runs end'),
        trans.__('A notice in the corner of the page.'),
        {
          all: trans.__('For each run of mine'),
          failed: trans.__('Only for those that fail'),
          none: trans.__('Never')
        }
      ]
    }
  };
}

function follow(notices: Notices, settings: ISettingRegistry | null, trans: TranslationBundle): void {
  if (!settings) {
    return;
  }
  translateSettings(settings, runs.id, settingTexts(trans));
  void settings
    .load(runs.id)
    .then(loaded => {
      const read = (): void => {
        notices.wanted = loaded.get('notify').composite as Wanted;
      };
      loaded.changed.connect(read);
      read();
    })
    .catch((error: unknown) => console.warn('The settings of Atelier are not there:', error));
}
