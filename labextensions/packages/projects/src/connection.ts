import { FeedState, IAtelier, Info } from '@atelier/api';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

const PATIENCE = 4000;

/** Tells when the platform goes away and when it is back; a short absence is not worth a word. */
export class ConnectionNotices {
  constructor(
    private readonly atelier: IAtelier,
    private readonly trans: TranslationBundle
  ) {
    atelier.feed.stateChanged.connect((_, state) => this.changed(state));
  }

  /** Why it is away, and what to do; or that all is well. */
  async explain(): Promise<void> {
    const { trans, atelier } = this;
    const { reason } = atelier.feed;
    const well = trans.__('What happens on the platform is shown here as it happens.');
    const body = reason ? [reason.message, reason.hint].filter(Boolean).join('\n') : well;
    const title = reason ? trans.__('The platform is away') : trans.__('Connected with the platform');
    await showDialog({ title, body, buttons: [Dialog.okButton({ label: trans.__('Close') })] });
  }

  private changed(state: FeedState): void {
    window.clearTimeout(this.timer);
    if (state === 'away' && !this.told) {
      this.timer = window.setTimeout(() => this.tellAway(), PATIENCE);
    } else if (state === 'live' && this.told) {
      Notification.dismiss(this.told);
      this.told = '';
      Notification.success(this.trans.__('The platform is back.'), { autoClose: 4000 });
    }
  }

  private tellAway(): void {
    const { trans } = this;
    const reason = this.atelier.feed.reason;
    const text = [
      reason?.message ?? trans.__('The platform is away.'),
      trans.__('What runs goes on; this page catches up by itself.')
    ];
    this.told = Notification.warning(text.join(' '), {
      autoClose: false,
      actions: [{ label: trans.__('Details'), callback: () => void this.explain() }]
    });
  }

  private timer = 0;
  private told = '';
}

/** Say what to do where the parts of the platform do not fit each other, or this person may not use it. */
export async function tellMismatch(atelier: IAtelier, version: string): Promise<void> {
  type Part = Info['control_plane'];
  const answer = await atelier.local<Info & { front?: Part }>(`info?front=${encodeURIComponent(version)}`);
  for (const part of [answer.front, answer.control_plane]) {
    if (part && (part.state === 'mismatch' || part.state === 'refused')) {
      Notification.warning([part.message, part.hint].filter(Boolean).join(' '), { autoClose: false });
    }
  }
}
