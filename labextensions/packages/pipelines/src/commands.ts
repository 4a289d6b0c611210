import { ApiError, IAtelier, Run } from '@atelier/api';
import { membershipOf, refusal } from '@atelier/ui';
import { Dialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import {
  copyIcon,
  deleteIcon,
  LabIcon,
  pasteIcon,
  redoIcon,
  runIcon,
  searchIcon,
  undoIcon,
  bugIcon
} from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';

import { move } from './document/edits';
import { commentIcon, fitIcon, layoutIcon } from './icons';
import { addComment, copySelection, deleteSelection, pasteText, selectAll } from './model/actions';
import { PipelineView } from './model/view';
import { Panel, Services } from './panels/services';

/** Ids of the commands about pipelines. */
export namespace CommandIDs {
  export const create = 'atelier:create-pipeline';
  export const run = 'atelier:run-pipeline';
  export const undo = 'atelier:undo-pipeline-edit';
  export const redo = 'atelier:redo-pipeline-edit';
  export const remove = 'atelier:delete-steps';
  export const copy = 'atelier:copy-steps';
  export const paste = 'atelier:paste-steps';
  export const selectAll = 'atelier:select-all-steps';
  export const open = 'atelier:open-step-settings';
  export const find = 'atelier:find-step';
  export const arrange = 'atelier:arrange-steps';
  export const fit = 'atelier:show-all-steps';
  export const comment = 'atelier:add-comment';
  export const problems = 'atelier:show-problems';
  export const log = 'atelier:show-step-log';
  export const results = 'atelier:show-step-results';
  export const addFile = 'atelier:add-to-pipeline';
  export const runFile = 'atelier:run-as-job';
  export const openRevision = 'atelier:open-revision';
}

const ON_CANVAS = '.at-Canvas:not(:has(:read-write:focus))';

/** What commands work on: the pipeline that is in front. */
export interface Front {
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  readonly services: Services;
  /** The view in front, or null. */
  view(): PipelineView | null;
}

interface Verb {
  id: string;
  label: string;
  icon?: LabIcon;
  keys?: string[][];
  /** Whether it changes the pipeline. */
  changes?: boolean;
  enabled?: (view: PipelineView) => boolean;
  /** Why this person may not; empty where they may. */
  refused?: (view: PipelineView) => string;
  execute: (view: PipelineView) => unknown;
}

/** Add the commands that work on the pipeline in front. */
export function addViewCommands(front: Front): void {
  const { commands } = front;
  for (const verb of [...editing(front), ...looking(front)]) {
    commands.addCommand(verb.id, {
      label: verb.label,
      icon: verb.icon,
      caption: () => refusedBy(front, verb) || verb.label,
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => {
        const view = front.view();
        return (
          view !== null &&
          !(verb.changes && view.readOnly) &&
          (verb.enabled?.(view) ?? true) &&
          !refusedBy(front, verb)
        );
      },
      execute: () => {
        const view = front.view();
        return view ? verb.execute(view) : undefined;
      }
    });
    for (const keys of verb.keys ?? []) {
      commands.addKeyBinding({ command: verb.id, keys, selector: ON_CANVAS });
    }
  }
}

function refusedBy(front: Front, verb: Verb): string {
  const view = front.view();
  return (view && verb.refused?.(view)) ?? '';
}

function editing({ trans, services }: Front): Verb[] {
  return [
    {
      id: CommandIDs.undo,
      label: trans.__('Undo'),
      icon: undoIcon,
      keys: [['Accel Z']],
      changes: true,
      enabled: view => view.file.canUndo,
      execute: view => view.file.undo()
    },
    {
      id: CommandIDs.redo,
      label: trans.__('Redo'),
      icon: redoIcon,
      keys: [['Accel Shift Z'], ['Accel Y']],
      changes: true,
      enabled: view => view.file.canRedo,
      execute: view => view.file.redo()
    },
    {
      id: CommandIDs.remove,
      label: trans.__('Delete Steps'),
      icon: deleteIcon,
      keys: [['Delete'], ['Backspace']],
      changes: true,
      enabled: view => view.selection.ids.size + view.selection.edges.length > 0,
      execute: deleteSelection
    },
    {
      id: CommandIDs.copy,
      label: trans.__('Copy Steps'),
      icon: copyIcon,
      enabled: view => view.selection.ids.size > 0,
      execute: copySelection
    },
    {
      id: CommandIDs.paste,
      label: trans.__('Paste Steps'),
      icon: pasteIcon,
      changes: true,
      execute: view => pasteText(view, null, null)
    },
    {
      id: CommandIDs.comment,
      label: trans.__('Add a Comment'),
      icon: commentIcon,
      changes: true,
      execute: view => addComment(view, null)
    },
    {
      id: CommandIDs.arrange,
      label: trans.__('Arrange Steps'),
      icon: layoutIcon,
      changes: true,
      execute: arrange
    },
    {
      id: CommandIDs.run,
      label: trans.__('Run Pipeline…'),
      icon: runIcon,
      refused: view => refusal(trans, membershipOf(view.atelier), 'member'),
      execute: view => run(view, services)
    }
  ];
}

function looking({ trans }: Front): Verb[] {
  const toggle = (tab: 'problems' | 'log' | 'results') => (view: PipelineView) => {
    view.bottomTab = view.bottomTab === tab ? null : tab;
  };
  return [
    {
      id: CommandIDs.selectAll,
      label: trans.__('Select All Steps'),
      keys: [['Accel A']],
      execute: selectAll
    },
    {
      id: CommandIDs.find,
      label: trans.__('Find a Step…'),
      icon: searchIcon,
      keys: [['Accel F']],
      execute: view => {
        view.searching = true;
      }
    },
    {
      id: CommandIDs.fit,
      label: trans.__('Show All Steps'),
      icon: fitIcon,
      keys: [['Shift 1']],
      execute: view => view.show()
    },
    {
      id: CommandIDs.open,
      label: trans.__('Open the Step’s Settings'),
      keys: [['Enter']],
      execute: openSettings
    },
    { id: CommandIDs.problems, label: trans.__('Problems'), icon: bugIcon, execute: toggle('problems') },
    { id: CommandIDs.log, label: trans.__('Log of the Step'), keys: [['L']], execute: toggle('log') },
    {
      id: CommandIDs.results,
      label: trans.__('Results of the Step'),
      keys: [['R']],
      execute: toggle('results')
    }
  ];
}

/** The focused step's form, else the selected one's. */
function openSettings(view: PipelineView): void {
  const focused = document.activeElement?.closest<HTMLElement>('.react-flow__node')?.dataset.id;
  const node = focused ?? view.current;
  if (node) {
    view.goTo({ node, field: '' });
  }
}

async function arrange(view: PipelineView): Promise<void> {
  const { layout } = await import('./lazy');
  const places = await layout(view.document, view.catalog, view.selection.ids);
  view.edit(move(places));
  window.requestAnimationFrame(() => view.show());
}

/** Check, ask what the run takes, and run. */
async function run(view: PipelineView, services: Services): Promise<void> {
  const { trans } = services;
  await view.check();
  if (view.problems.length && !view.checkError) {
    view.bottomTab = 'problems';
    Notification.warning(
      trans._n(
        '%1 problem keeps it from running.',
        '%1 problems keep it from running.',
        view.problems.length
      ),
      { autoClose: 5000 }
    );
    return;
  }
  const { askRun } = await import('./lazy');
  const choice = await askRun({ ...services, view } as Panel);
  if (choice && (await mayBeSaved(view, services))) {
    await started(trans, () => view.run(choice.parameters, choice.on));
  }
}

/** Whether the file may be saved, which it must be to run; some people want to be asked. */
async function mayBeSaved(view: PipelineView, { trans, settings }: Services): Promise<boolean> {
  if (!view.file.dirty || settings.choices.saveBeforeRun === 'always') {
    return true;
  }
  const answer = await showDialog({
    title: trans.__('Save the pipeline?'),
    body: trans.__('It was changed. What runs is the file, so it is saved first.'),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Save and Run') })]
  });
  return answer.button.accept;
}

/** Start something, and say what happened where it did not work. */
export async function started(trans: TranslationBundle, start: () => Promise<Run>): Promise<Run | null> {
  try {
    return await start();
  } catch (error) {
    const { message, hint } = error as ApiError;
    await showErrorMessage(trans.__('It did not start'), {
      message: [message, hint].filter(Boolean).join('\n\n')
    });
    return null;
  }
}

/** The parts of `IAtelier` that a command outside of a view needs. */
export type Platform = Pick<IAtelier, 'local' | 'project'>;
