import { askFor, orSay } from '@atelier/ui';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { showSecret } from './SecretDialog';
import { Revision, Service, ServiceKey, ServicesClient } from './model';

/** What people do with services; each says by itself what went wrong. */
export class ServiceActions {
  constructor(private readonly trans: TranslationBundle) {}

  start(client: ServicesClient, service: Service): Promise<boolean> {
    return orSay(this.trans.__('It could not be started'), () => client.start(service.name));
  }

  async stop(client: ServicesClient, service: Service): Promise<void> {
    const { trans } = this;
    const title = trans.__('Stop %1?', service.name);
    const body = trans.__('Its URL answers nobody until it is started again.');
    if (await this.sure(title, body, trans.__('Stop'))) {
      await orSay(title, () => client.stop(service.name));
    }
  }

  async remove(client: ServicesClient, service: Service): Promise<void> {
    const { trans } = this;
    const title = trans.__('Delete %1?', service.name);
    const body = trans.__(
      'Its replicas end, its URL is gone, and so are its revisions. This cannot be undone.'
    );
    if (await this.sure(title, body, trans.__('Delete'))) {
      await orSay(title, () => client.remove(service));
    }
  }

  async setTraffic(client: ServicesClient, service: Service, shares: Record<string, number>): Promise<void> {
    await orSay(this.trans.__('The traffic could not be changed'), () => client.setTraffic(service, shares));
  }

  /** Back to a revision; without one, away from a trial or to the one before. */
  async rollBack(client: ServicesClient, service: Service, revision: number | null): Promise<void> {
    const { trans } = this;
    const title = revision
      ? trans.__('Back to revision %1 of %2?', revision, service.name)
      : trans.__('Roll %1 back?', service.name);
    const body = revision
      ? trans.__('It is started again where it does not run, and then gets the traffic.')
      : trans.__('A trial ends; without one, the revision before gets the traffic again.');
    if (await this.sure(title, body, trans.__('Roll back'))) {
      await orSay(title, () => client.rollBack(service.name, revision));
    }
  }

  async scale(client: ServicesClient, service: Service, revisions: Revision[]): Promise<void> {
    const { trans } = this;
    const now = revisions.find(one => one.number === service.revision);
    const title = trans.__('Replicas of %1', service.name);
    const help = trans.__('With 0 the service sleeps when nobody asks, and wakes up at the next request.');
    const fields = [
      { name: 'minimum', label: trans.__('At least'), help, value: String(now?.minimum ?? 1) },
      { name: 'maximum', label: trans.__('At most'), value: String(now?.maximum ?? 1) }
    ];
    const given = await askFor(trans, title, trans.__('Scale'), fields);
    if (given) {
      await orSay(title, () => client.scale(service, Number(given.minimum), Number(given.maximum)));
    }
  }

  async createKey(client: ServicesClient, service: string): Promise<void> {
    const { trans } = this;
    const title = trans.__('New key for %1', service);
    const fields = [
      { name: 'name', label: trans.__('Name'), help: trans.__('Who or what will use it') },
      {
        name: 'days',
        label: trans.__('Days until it expires'),
        help: trans.__('Empty: it does not expire'),
        value: '90'
      }
    ];
    const given = await askFor(trans, title, trans.__('Create'), fields);
    if (!given) {
      return;
    }
    let secret = '';
    const done = await orSay(title, async () => {
      secret = (await client.createKey(service, given.name.trim(), expiry(trans, given.days))).secret;
    });
    if (done) {
      await showSecret(trans, secret);
    }
  }

  async revokeKey(client: ServicesClient, key: ServiceKey): Promise<void> {
    const { trans } = this;
    const title = trans.__('Revoke %1?', key.name);
    const body = trans.__('Whoever uses this key is refused from now on. This cannot be undone.');
    if (await this.sure(title, body, trans.__('Revoke'))) {
      await orSay(title, () => client.revokeKey(key.id));
    }
  }

  private async sure(title: string, body: string, accept: string): Promise<boolean> {
    const buttons = [
      Dialog.cancelButton({ label: this.trans.__('Keep') }),
      Dialog.warnButton({ label: accept })
    ];
    return (await showDialog({ title, body, buttons })).button.accept;
  }
}

function expiry(trans: TranslationBundle, days: string): string | null {
  if (!days.trim()) {
    return null;
  }
  const number = Number(days);
  if (!(number > 0)) {
    throw new Error(trans.__('The days are a number above 0, or empty.'));
  }
  return new Date(Date.now() + number * 86_400_000).toISOString();
}
