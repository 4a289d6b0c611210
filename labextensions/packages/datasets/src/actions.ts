import { ApiError } from '@atelier/api';
import { orSay } from '@atelier/ui';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { askWhat, Start, Wish } from './dialogs';
import { Dataset, DatasetsClient, DatasetsModel, Version } from './model';

/** What people do with datasets; each says by itself what went wrong. */
export class DatasetActions {
  constructor(
    private readonly model: DatasetsModel,
    private readonly trans: TranslationBundle
  ) {}

  /** Register a new dataset, or a new version; the name of it once it is there. */
  async register(start: Start, client = this.model.client): Promise<string> {
    const wish = await askWhat(this.trans, start);
    if (!wish) {
      return '';
    }
    const isNew = !start.dataset;
    const done = await orSay(this.trans.__('It could not be registered'), () =>
      wish.kind === 'workspace' ? this.sendOwn(wish, client, isNew) : this.sendTheirs(wish, client, isNew)
    );
    return done ? wish.name : '';
  }

  /** Remove a dataset with all its versions. */
  async remove(client: DatasetsClient, dataset: Dataset): Promise<boolean> {
    const { trans } = this;
    const title = trans.__('Delete %1?', dataset.name);
    const body = trans.__('All its versions are removed. This cannot be undone.');
    return (await this.sure(title, body)) && this.insist(title, force => client.remove(dataset, force));
  }

  /** Remove one version. */
  async removeVersion(client: DatasetsClient, dataset: Dataset, version: Version): Promise<boolean> {
    const { trans } = this;
    const title = trans.__('Delete version %1 of %2?', version.number, dataset.name);
    const body = trans.__('This cannot be undone.');
    return (
      (await this.sure(title, body)) &&
      this.insist(title, force => client.removeVersion(dataset.name, version.number, force))
    );
  }

  /** Where the platform warns, ask once more. */
  private async insist(title: string, work: (force: boolean) => Promise<unknown>): Promise<boolean> {
    return orSay(title, async () => {
      try {
        await work(false);
      } catch (error) {
        const warned = error instanceof ApiError && error.status === 409;
        if (!warned || !(await this.sure(title, [error.message, error.hint].filter(Boolean).join('\n')))) {
          throw error;
        }
        await work(true);
      }
    });
  }

  private async sure(title: string, body: string): Promise<boolean> {
    const answer = await showDialog({
      title,
      body,
      buttons: [
        Dialog.cancelButton({ label: this.trans.__('Keep') }),
        Dialog.warnButton({ label: this.trans.__('Delete') })
      ]
    });
    return answer.button.accept;
  }

  /** What the server has, it sends by itself. */
  private async sendOwn(wish: Wish, client: DatasetsClient, isNew: boolean): Promise<void> {
    const { path, name, description, tags } = wish;
    if (!path.trim()) {
      throw new Error(this.trans.__('Say which file or folder: its path in the workspace.'));
    }
    await this.model.send({ path, name, description, tags, project: client.project, new: isNew });
  }

  /** What is on the person's computer, or elsewhere. */
  private async sendTheirs(wish: Wish, client: DatasetsClient, isNew: boolean): Promise<void> {
    const { name, description, tags, uri, chosen } = wish;
    if (wish.kind !== 'uri' && chosen.length === 0) {
      throw new Error(this.trans.__('There is no file in it. Choose at least one.'));
    }
    if (isNew) {
      await client.create({ name, description, tags });
    }
    if (wish.kind === 'uri') {
      await client.addVersion(name, { uri });
    } else {
      void this.model.upload(client, name, chosen);
    }
  }
}
