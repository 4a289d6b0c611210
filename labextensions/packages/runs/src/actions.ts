import { Artifact, IAtelier, Run, unwrap } from '@atelier/api';
import { describe } from '@atelier/ui';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { UUID } from '@lumino/coreutils';

/** Where copies of executed notebooks lie in the workspace. */
const NOTEBOOKS = 'executed-notebooks';

/** What people do with runs; each says by itself what went wrong. */
export class RunActions {
  constructor(
    private readonly atelier: IAtelier,
    private readonly commands: CommandRegistry,
    private readonly contents: Contents.IManager,
    private readonly trans: TranslationBundle
  ) {}

  /** End a run, after asking. */
  async cancel(project: string, run: string, name: string): Promise<Run | undefined> {
    const { trans } = this;
    const answer = await showDialog({
      title: trans.__('Cancel the run?'),
      body: trans.__('The steps of “%1” that are running are stopped; what has finished is kept.', name),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Keep running') }),
        Dialog.warnButton({ label: trans.__('Cancel run') })
      ]
    });
    if (!answer.button.accept) {
      return undefined;
    }
    const params = { path: { project, run } };
    return this.tried(() =>
      unwrap(this.atelier.rest.POST('/projects/{project}/runs/{run}/cancel', { params }))
    );
  }

  /** The same revision with the same parameters at the same place once more. */
  async again(run: Run): Promise<Run | undefined> {
    const body = {
      revision: run.revision,
      parameters: run.parameters,
      on: run.on,
      idempotency_key: UUID.uuid4()
    };
    const params = { path: { project: run.project } };
    return this.tried(() => unwrap(this.atelier.rest.POST('/projects/{project}/runs', { params, body })));
  }

  /** The run's pipeline as it is in the workspace now. */
  async openPipeline(run: Run): Promise<void> {
    const params = { path: { project: run.project, revision: run.revision } };
    await this.tried(async () => {
      const answer = this.atelier.rest.GET('/projects/{project}/revisions/{revision}', { params });
      const { path } = await unwrap(answer);
      const there = await this.contents.get(path, { content: false }).catch(() => null);
      if (!there) {
        throw new Error(
          this.trans.__('There is no file %1 in this server: it was moved, or run from elsewhere.', path)
        );
      }
      await this.commands.execute('docmanager:open', { path });
    });
  }

  /** The notebook that a step has left: a copy in the workspace, where Lab opens it like any other; made once. */
  async openNotebook(project: string, { id, run, step }: Artifact): Promise<void> {
    await this.tried(async () => {
      const path = `${NOTEBOOKS}/${run}-${step}.ipynb`;
      const there = await this.contents.get(path, { content: false }).catch(() => null);
      if (!there) {
        const params = { path: { project, artifact: id } };
        const answer = this.atelier.rest.GET('/projects/{project}/artifacts/{artifact}/content', {
          params,
          parseAs: 'json'
        });
        const content: unknown = await unwrap(answer);
        await this.contents.save(NOTEBOOKS, { type: 'directory' });
        await this.contents.save(path, { type: 'notebook', format: 'json', content });
      }
      await this.commands.execute('docmanager:open', { path });
    });
  }

  /** The same where only the step is known. */
  async openNotebookOf(project: string, run: string, step: string): Promise<void> {
    await this.tried(async () => {
      const answer = this.atelier.rest.GET('/projects/{project}/runs/{run}/artifacts', {
        params: { path: { project, run } }
      });
      const found = (await unwrap(answer)).items.find(one => one.step === step && isNotebook(one));
      if (!found) {
        throw new Error(this.trans.__('The step has left no notebook.'));
      }
      await this.openNotebook(project, found);
    });
  }

  private async tried<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { message, hint } = describe(error);
      Notification.error([message, hint].filter(Boolean).join(' '), { autoClose: 8000 });
      return undefined;
    }
  }
}

/** Whether an output is a notebook that was executed. */
export function isNotebook(artifact: Artifact): boolean {
  return artifact.type === 'notebook' && artifact.kind === 'file';
}
