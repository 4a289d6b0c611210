import { IAtelier, Run, unwrap } from '@atelier/api';
import { atelierIcon, compareIcon, ContentWidget, runsIcon } from '@atelier/ui';
import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { notebookIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { isNotebook, RunActions } from './actions';
import { RunModel } from './model/run';
import { RunsModel } from './model/runs';
import { CompareView } from './panel/CompareView';
import { addOutputAction } from './panel/outputActions';
import { pickRun } from './panel/pickRun';
import { RunView } from './panel/RunView';

/** Ids of the commands about runs. */
export namespace CommandIDs {
  export const show = 'atelier:show-runs';
  export const open = 'atelier:open-run';
  export const compare = 'atelier:compare-runs';
  export const cancel = 'atelier:cancel-run';
  export const again = 'atelier:repeat-run';
  export const openPipeline = 'atelier:open-run-pipeline';
  export const openNotebook = 'atelier:open-step-notebook';
}

/** What the commands work with. */
export interface RunsContext {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  model: RunsModel;
  actions: RunActions;
  /** Pages of one run, and pages of two. */
  pages: WidgetTracker<MainAreaWidget>;
  comparisons: WidgetTracker<MainAreaWidget>;
}

interface Named {
  project: string;
  run: string;
}

/** Add them all. */
export function addCommands(context: RunsContext): void {
  addOpen(context);
  addCompare(context);
  addActions(context);
  addNotebook(context);
}

function addOpen(context: RunsContext): void {
  const { app, trans } = context;
  app.commands.addCommand(CommandIDs.open, {
    label: trans.__('Open Run'),
    icon: runsIcon,
    isVisible: args => Boolean(args.run) || Boolean(hit(app)),
    describedBy: { args: named(['run']) },
    execute: args => {
      const of = which(context, args);
      return of
        ? show(app, context.pages, `run:${of.project}:${of.run}`, () => runWidget(context, of))
        : undefined;
    }
  });
}

function addCompare(context: RunsContext): void {
  const { app, atelier, trans } = context;
  app.commands.addCommand(CommandIDs.compare, {
    label: args =>
      args.run || hit(app) ? trans.__('Compare with Another Run…') : trans.__('Compare Two Runs…'),
    icon: compareIcon,
    describedBy: { args: named(['run', 'other']) },
    execute: async args => {
      const project = String(args.project ?? atelier.project);
      const run =
        String(args.run ?? hit(app) ?? '') || (await pickRun(atelier, trans, trans.__('First run')));
      const other =
        String(args.other ?? '') || (run && (await pickRun(atelier, trans, trans.__('Compare with'), run)));
      if (run && other) {
        const key = `compare:${project}:${run}:${other}`;
        return show(app, context.comparisons, key, () => compareWidget(context, project, run, other));
      }
      return undefined;
    }
  });
}

function addActions(context: RunsContext): void {
  const { app, trans, actions, model } = context;
  const add = (id: string, label: string, act: (run: Run) => Promise<void>): void => {
    app.commands.addCommand(id, {
      label,
      isVisible: args => Boolean(args.run) || Boolean(hit(app)),
      describedBy: { args: named(['run']) },
      execute: async args => {
        const of = which(context, args);
        if (of) {
          await act(await getRun(context, of));
        }
      }
    });
  };
  add(CommandIDs.cancel, trans.__('Cancel Run'), async run => {
    const after = await actions.cancel(run.project, run.id, run.name);
    if (after) {
      model.take(after);
    }
  });
  add(CommandIDs.again, trans.__('Run Again'), async run => {
    const next = await actions.again(run);
    if (next) {
      model.take(next);
      await app.commands.execute(CommandIDs.open, { project: next.project, run: next.id });
    }
  });
  add(CommandIDs.openPipeline, trans.__('Open Its Pipeline'), run => actions.openPipeline(run));
}

function addNotebook({ app, trans, atelier, actions }: RunsContext): void {
  app.commands.addCommand(CommandIDs.openNotebook, {
    label: trans.__('Open the Executed Notebook'),
    icon: notebookIcon,
    describedBy: { args: named(['run', 'step']) },
    execute: args =>
      actions.openNotebookOf(String(args.project ?? atelier.project), String(args.run), String(args.step))
  });
  addOutputAction({
    icon: notebookIcon,
    label: ({ name }) => trans.__('Open %1 as a notebook', name),
    fits: isNotebook,
    run: (project, artifact) => void actions.openNotebook(project, artifact)
  });
}

async function getRun({ model, atelier }: RunsContext, of: Named): Promise<Run> {
  return (
    model.get(of.run) ?? unwrap(atelier.rest.GET('/projects/{project}/runs/{run}', { params: { path: of } }))
  );
}

function which({ app, atelier }: RunsContext, args: { project?: unknown; run?: unknown }): Named | null {
  const run = args.run ? String(args.run) : hit(app);
  return run ? { project: String(args.project ?? atelier.project), run } : null;
}

/** The run under the context menu. */
function hit(app: JupyterFrontEnd): string | undefined {
  return app.contextMenuHitTest(node => 'run' in node.dataset)?.dataset.run;
}

function named(required: string[]) {
  const texts = ['project', 'run', 'other', 'step'].map(name => [name, { type: 'string' as const }]);
  return { type: 'object' as const, properties: Object.fromEntries(texts), required };
}

/** The widget of a key, made when it is not there yet. */
async function show(
  app: JupyterFrontEnd,
  tracker: WidgetTracker<MainAreaWidget>,
  key: string,
  make: () => MainAreaWidget
): Promise<void> {
  let widget = tracker.find(one => one.id === key);
  if (!widget) {
    widget = make();
    widget.id = key;
    app.shell.add(widget, 'main', { type: 'Atelier Run' });
    await tracker.add(widget);
  }
  app.shell.activateById(key);
}

function runWidget(context: RunsContext, of: Named): MainAreaWidget {
  const { app, atelier, trans } = context;
  const model = new RunModel(atelier, of.project, of.run);
  const run = (id: string) => (one: Run) =>
    void app.commands.execute(id, { project: one.project, run: one.id });
  const content = new ContentWidget(trans, () =>
    React.createElement(RunView, {
      atelier,
      model,
      onCancel: run(CommandIDs.cancel),
      onAgain: run(CommandIDs.again),
      onPipeline: run(CommandIDs.openPipeline),
      onCompare: run(CommandIDs.compare)
    })
  );
  const title = (): string => (model.run ? model.run.name : trans.__('Run %1', of.run));
  return framed(content, [model], runsIcon, title, `${trans.__('Run %1', of.run)}\n${of.project}`);
}

function compareWidget(context: RunsContext, project: string, run: string, other: string): MainAreaWidget {
  const { atelier, trans } = context;
  const models: [RunModel, RunModel] = [
    new RunModel(atelier, project, run),
    new RunModel(atelier, project, other)
  ];
  const content = new ContentWidget(trans, () => React.createElement(CompareView, { atelier, models }));
  const title = (): string =>
    trans.__('Compare %1', models.map(model => model.run?.name ?? model.id).join(' | '));
  return framed(content, models, compareIcon, title, `${run} | ${other}`);
}

function framed(
  content: ContentWidget,
  models: RunModel[],
  icon: typeof atelierIcon,
  title: () => string,
  caption: string
): MainAreaWidget {
  content.addClass('at-Run');
  const widget = new MainAreaWidget({ content });
  widget.title.icon = icon;
  widget.title.closable = true;
  widget.title.caption = caption;
  const rename = (): void => {
    widget.title.label = title();
  };
  rename();
  models.forEach(model => model.changed.connect(rename));
  widget.disposed.connect(() => models.forEach(model => model.dispose()));
  return widget;
}
