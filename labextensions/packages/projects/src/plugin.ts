import { IAtelier } from '@atelier/api';
import { addPanel, askFor, DOMAIN, orSay, projectIcon } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import { Menu } from '@lumino/widgets';
import * as React from 'react';

import { ConnectionNotices } from './connection';

import { ProjectsModel } from './model';
import { ProjectPanel } from './ProjectPanel';
import { SecretsModel } from './secrets';
import { connectionItem, projectItem } from './status';

const STATE = '@atelier/lab:projects';

namespace CommandIDs {
  export const show = 'atelier:show-project';
  export const choose = 'atelier:choose-project';
  export const create = 'atelier:create-project';
  export const explain = 'atelier:explain-connection';
}

interface Context {
  app: JupyterFrontEnd;
  atelier: IAtelier;
  trans: TranslationBundle;
  projects: ProjectsModel;
  notices: ConnectionNotices;
}

/** Which project the panels show, its secrets and members, and how the tab stands with the platform. */
export const projects: JupyterFrontEndPlugin<void> = {
  id: STATE,
  description: 'Chooses the project; shows its secrets and members and the connection.',
  autoStart: true,
  requires: [IAtelier],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, IStateDB, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    status: IStatusBar | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const notices = new ConnectionNotices(atelier, trans);
    const context = { app, atelier, trans, notices, projects: new ProjectsModel(atelier) };
    addCommands(context);
    addProject(context, restorer);
    addStatus(context, status);
    const category = trans.__('Atelier');
    Object.values(CommandIDs).forEach(command => palette?.addItem({ command, category }));
    void remember(atelier, state);
  }
};

/** The project stays the same over a reload. */
async function remember(atelier: IAtelier, state: IStateDB | null): Promise<void> {
  const kept = await state?.fetch(STATE).catch(() => undefined);
  if (typeof kept === 'string' && kept) {
    atelier.project = kept;
  }
  atelier.projectChanged.connect((_, project) => void state?.save(STATE, project));
}

function addCommands(context: Context): void {
  const { app, atelier, trans, projects: model, notices } = context;
  const none = { args: { type: 'object' as const, properties: {} } };
  app.commands.addCommand(CommandIDs.choose, {
    label: args => (args.project ? String(args.project) : trans.__('Choose Project…')),
    isToggleable: true,
    isToggled: args => args.project === atelier.project,
    describedBy: { args: { type: 'object', properties: { project: { type: 'string' } } } },
    execute: async args => {
      if (args.project) {
        atelier.project = String(args.project);
      } else {
        await offerProjects(context);
      }
    }
  });
  app.commands.addCommand(CommandIDs.create, {
    label: trans.__('New Project…'),
    icon: projectIcon,
    describedBy: none,
    execute: () => create(trans, model)
  });
  app.commands.addCommand(CommandIDs.explain, {
    label: trans.__('Explain the Connection with the Platform'),
    describedBy: none,
    execute: () => notices.explain()
  });
}

/** A menu of all projects, above the place that was clicked. */
async function offerProjects(context: Context, place?: DOMRect): Promise<void> {
  const { app, projects: model } = context;
  await model.load();
  const menu = new Menu({ commands: app.commands });
  model.projects.forEach(project =>
    menu.addItem({ command: CommandIDs.choose, args: { project: project.name } })
  );
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: CommandIDs.create });
  menu.addItem({ command: CommandIDs.show });
  menu.aboutToClose.connect(() => window.setTimeout(() => menu.dispose(), 0));
  const at = place ?? new DOMRect(window.innerWidth / 2 - 100, window.innerHeight / 3);
  menu.open(at.x, at.y); // upwards by itself where there is no room below
}

async function create(trans: TranslationBundle, model: ProjectsModel): Promise<void> {
  const title = trans.__('New project');
  const values = await askFor(trans, title, trans.__('Create'), [
    {
      name: 'name',
      label: trans.__('Name'),
      help: trans.__('A small letter, then small letters, digits and “-”; 30 at most.')
    },
    { name: 'description', label: trans.__('Description') }
  ]);
  if (values) {
    await orSay(title, () => model.create(values.name.trim(), values.description));
  }
}

function addProject(context: Context, restorer: ILayoutRestorer | null): void {
  const { app, atelier, trans, projects: model } = context;
  const secrets = new SecretsModel(atelier);
  addPanel(
    { app, atelier, trans, restorer },
    {
      id: 'atelier-project',
      icon: projectIcon,
      caption: trans.__('Project'),
      rank: 610,
      type: 'Atelier Project',
      command: CommandIDs.show,
      label: trans.__('Show Project, Secrets and Members'),
      draw: () =>
        React.createElement(ProjectPanel, {
          atelier,
          projects: model,
          secrets,
          onCreate: () => void app.commands.execute(CommandIDs.create)
        })
    }
  );
}

function addStatus(context: Context, status: IStatusBar | null): void {
  const { app, atelier, trans } = context;
  status?.registerStatusItem(`${STATE}-current`, {
    item: projectItem(trans, atelier, place => void offerProjects(context, place)),
    align: 'left',
    rank: 90
  });
  status?.registerStatusItem(`${STATE}-connection`, {
    item: connectionItem(trans, atelier.feed, () => void app.commands.execute(CommandIDs.explain)),
    align: 'right',
    rank: 90
  });
}
