import { IAtelier, unwrap } from '@atelier/api';
import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';

import { CommandIDs } from './commands';
import { JsonObject } from './document/types';
import { pipelineIcon } from './icons';
import { TemplateCatalog } from './model/catalog';
import { PipelineFile } from './model/file';
import { documentOf } from './model/live';
import { Home, PipelineView } from './model/view';
import { Services } from './panels/services';
import { PipelineContent } from './widget';

/** `atelier:open-revision {project, run}`: the pipeline as it was when the run began, with the run on its steps. */
export function addRevisions(
  app: JupyterFrontEnd,
  atelier: IAtelier,
  catalog: TemplateCatalog,
  services: Services
): void {
  const { trans } = services;
  app.commands.addCommand(CommandIDs.openRevision, {
    label: trans.__('Open the Pipeline as It Ran'),
    icon: pipelineIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: { project: { type: 'string' }, run: { type: 'string' } },
        required: ['run']
      }
    },
    execute: async args => {
      const path = { project: String(args.project ?? atelier.project), run: String(args.run) };
      const run = await unwrap(atelier.rest.GET('/projects/{project}/runs/{run}', { params: { path } }));
      const file = await fileOf(await documentOf(atelier, run));
      const home: Home = {
        model: file,
        path: '',
        localPath: `${run.name}.pipeline`,
        save: () => Promise.resolve()
      };
      const view = new PipelineView(atelier, catalog, home, services.settings);
      view.showRun(run);
      const content = new PipelineContent(view, services, Promise.resolve());
      const widget = new MainAreaWidget({ content });
      widget.id = `atelier-revision-${run.id}`;
      widget.title.label = trans.__('%1 as it ran', run.name);
      widget.title.caption = trans.__('Run %1, revision %2: to look at, not to change', run.id, run.revision);
      widget.title.icon = pipelineIcon;
      widget.title.closable = true;
      app.shell.add(widget, 'main');
      app.shell.activateById(widget.id);
      return widget.id;
    }
  });
}

async function fileOf(document: JsonObject): Promise<PipelineFile> {
  const file = new PipelineFile();
  file.fromString(JSON.stringify(document));
  file.readOnly = true;
  return file;
}
