import { IAtelier, Run, unwrap } from '@atelier/api';
import { describe } from '@atelier/ui';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { UUID } from '@lumino/coreutils';

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
