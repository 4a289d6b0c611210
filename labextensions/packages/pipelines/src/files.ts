import { IAtelier, Run } from '@atelier/api';
import { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog, Notification } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { UUID } from '@lumino/coreutils';

import { CommandIDs, Front, started } from './commands';
import { isStepFile } from './document/create';
import { PipelineDocument } from './document/document';
import { pipelineIcon } from './icons';
import { addFiles } from './model/files';
import { PipelineWidget } from './widget';

const ITEMS = '.jp-DirListing-item[data-isdir="false"]';

/** What the commands on files need. */
export interface FileTools {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  documents: IDocumentManager;
  browser: IFileBrowserFactory | null;
}

/** A new pipeline in a folder; opens it. */
export function addCreate(front: Front, { app, browser }: FileTools, factory: string): void {
  const { trans, commands } = front;
  commands.addCommand(CommandIDs.create, {
    label: args => (args.isPalette ? trans.__('New Pipeline') : trans.__('Pipeline')),
    caption: trans.__('Draw steps and run them on this machine or on a cluster'),
    icon: pipelineIcon,
    describedBy: {
      args: { type: 'object', properties: { cwd: { type: 'string' }, isPalette: { type: 'boolean' } } }
    },
    execute: async args => {
      const { contents } = app.serviceManager;
      const path =
        typeof args.cwd === 'string' ? args.cwd : (browser?.tracker.currentWidget?.model.path ?? '');
      const made = await contents.newUntitled({ path, type: 'file', ext: '.pipeline' });
      const name = made.name.replace(/\.pipeline$/, '');
      const content = PipelineDocument.create(name).toString();
      await contents.save(made.path, { type: 'file', format: 'text', content });
      await commands.execute('docmanager:open', { path: made.path, factory });
      return made.path;
    }
  });
}

/** The file browser's two entries: a file as a step, and a file as a run of its own. */
export function addFileCommands(front: Front, tools: FileTools, open: () => PipelineWidget[]): void {
  const { trans, commands } = front;
  const { app, browser } = tools;
  const chosen = (): string[] =>
    [...(browser?.tracker.currentWidget?.selectedItems() ?? [])].map(item => item.path).filter(isStepFile);
  commands.addCommand(CommandIDs.addFile, {
    label: trans.__('Add to Pipeline'),
    icon: pipelineIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    isVisible: () => chosen().length > 0,
    isEnabled: () => chosen().length > 0 && open().length > 0,
    execute: () => addToPipeline(front, chosen(), open())
  });
  commands.addCommand(CommandIDs.runFile, {
    label: trans.__('Run as Job'),
    icon: pipelineIcon,
    describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } },
    isVisible: args => typeof args.path === 'string' || chosen().length === 1,
    execute: args => runAsJob(front, tools, typeof args.path === 'string' ? args.path : chosen()[0])
  });
  app.contextMenu.addItem({ command: CommandIDs.addFile, selector: ITEMS, rank: 5.1 });
  app.contextMenu.addItem({ command: CommandIDs.runFile, selector: ITEMS, rank: 5.2 });
}

async function addToPipeline(front: Front, paths: string[], widgets: PipelineWidget[]): Promise<void> {
  const { trans } = front;
  let [widget] = widgets;
  if (widgets.length > 1) {
    const names = widgets.map(one => one.context.path);
    const picked = await InputDialog.getItem({ title: trans.__('Add to which pipeline?'), items: names });
    const found = widgets.find(one => one.context.path === picked.value);
    if (!picked.button.accept || !found) {
      return;
    }
    widget = found;
  }
  await addFiles(widget.content.view, paths, null);
}

async function runAsJob(front: Front, tools: FileTools, path: string): Promise<Run | null> {
  const { trans, commands } = front;
  const { atelier, documents } = tools;
  await documents.findWidget(path)?.context.save();
  const body = { path, project: atelier.project, idempotency_key: UUID.uuid4() };
  const run = await started(trans, () => atelier.local<Run>('local/run', body));
  if (run) {
    const open = (): void => void commands.execute('atelier:open-run', { project: run.project, run: run.id });
    Notification.info(trans.__('“%1” runs as a job.', path.split('/').pop() ?? path), {
      autoClose: 6000,
      actions: [{ label: trans.__('Show'), callback: open }]
    });
  }
  return run;
}
