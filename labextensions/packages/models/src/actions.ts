import { ApiError, IAtelier } from '@atelier/api';
import { askFor, orSay } from '@atelier/ui';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { findCandidates } from './candidates';
import { askWhat, Start } from './dialogs';
import { Model, ModelsClient, VersionDetail } from './model';

/** What people do with models; each says by itself what went wrong. */
export class ModelActions {
  constructor(
    private readonly atelier: IAtelier,
    private readonly trans: TranslationBundle
  ) {}

  /** Register an output or a folder; the model's name once it is there. */
  async register(client: ModelsClient, start: Omit<Start, 'find'>): Promise<string> {
    const { trans } = this;
    const find = () => findCandidates(this.atelier, client.project);
    const wish = await askWhat(trans, { ...start, find });
    if (!wish) {
      return '';
    }
    const name = wish.name.trim();
    const done = await orSay(trans.__('It could not be registered'), () => {
      if (!name) {
        throw new Error(trans.__('Give the model a name.'));
      }
      if (wish.output) {
        return client.register(name, wish.output, wish.note);
      }
      if (!wish.path.trim()) {
        throw new Error(trans.__('Choose the output of a run, or name a folder of the workspace.'));
      }
      return client.send({ name, note: wish.note, path: wish.path.trim() });
    });
    return done ? name : '';
  }

  async describe(client: ModelsClient, model: Model): Promise<void> {
    const { trans } = this;
    const title = trans.__('Describe %1', model.name);
    const fields = [{ name: 'text', label: trans.__('Description'), value: model.description }];
    const given = await askFor(trans, title, trans.__('Save'), fields);
    if (given) {
      await orSay(title, () => client.describe(model, given.text));
    }
  }

  async addAlias(client: ModelsClient, version: VersionDetail): Promise<void> {
    const { trans } = this;
    const title = trans.__('Alias for version %1 of %2', version.number, version.name);
    const help = trans.__(
      'A word such as candidate. “production” takes an approved version; an alias that is there moves.'
    );
    const fields = [{ name: 'alias', label: trans.__('Alias'), help }];
    const given = await askFor(trans, title, trans.__('Set'), fields);
    if (given) {
      const alias = given.alias.trim().replace(/^@/, '');
      await orSay(title, () => client.setAlias(version.name, alias, version.number));
    }
  }

  async removeAlias(client: ModelsClient, model: string, alias: string): Promise<void> {
    const { trans } = this;
    const title = trans.__('Remove the alias %1?', alias);
    const body = trans.__('What names %1 finds nothing any more.', `models:/${model}@${alias}`);
    if (await this.sure(title, body, trans.__('Remove'))) {
      await orSay(title, () => client.removeAlias(model, alias));
    }
  }

  /** Approve a version for production, or take that back. */
  async approve(client: ModelsClient, version: VersionDetail): Promise<void> {
    const { trans } = this;
    if (version.approval) {
      const title = trans.__('Take back the approval of version %1?', version.number);
      const body = trans.__('It can then not be called production any more.');
      if (await this.sure(title, body, trans.__('Take back'))) {
        await orSay(title, () => client.revoke(version.name, version.number));
      }
      return;
    }
    const title = trans.__('Approve version %1 of %2', version.number, version.name);
    const fields = [{ name: 'note', label: trans.__('Why it is good enough') }];
    const given = await askFor(trans, title, trans.__('Approve'), fields);
    if (given) {
      await orSay(title, () => client.approve(version.name, version.number, given.note));
    }
  }

  /** Remove a model with all its versions. */
  async remove(client: ModelsClient, model: Model): Promise<boolean> {
    const { trans } = this;
    const title = trans.__('Delete %1?', model.name);
    const body = trans.__('All its versions are removed. This cannot be undone.');
    return (await this.sure(title, body)) && this.insist(title, force => client.remove(model, force));
  }

  /** Remove one version. */
  async removeVersion(client: ModelsClient, version: VersionDetail): Promise<boolean> {
    const { trans } = this;
    const title = trans.__('Delete version %1 of %2?', version.number, version.name);
    const body = trans.__('This cannot be undone.');
    return (
      (await this.sure(title, body)) &&
      this.insist(title, force => client.removeVersion(version.name, version.number, force))
    );
  }

  /** Where the platform only warns, ask once more; what is served now it refuses. */
  private async insist(title: string, work: (force: boolean) => Promise<unknown>): Promise<boolean> {
    let gone = true;
    const said = await orSay(title, async () => {
      try {
        await work(false);
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 'was_used')) {
          throw error;
        }
        gone = await this.sure(title, error.message, this.trans.__('Delete all the same'));
        if (gone) {
          await work(true);
        }
      }
    });
    return said && gone;
  }

  private async sure(title: string, body: string, accept = this.trans.__('Delete')): Promise<boolean> {
    const buttons = [
      Dialog.cancelButton({ label: this.trans.__('Keep') }),
      Dialog.warnButton({ label: accept })
    ];
    return (await showDialog({ title, body, buttons })).button.accept;
  }
}
