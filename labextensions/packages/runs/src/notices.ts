import { Event, IAtelier, Run, unwrap } from '@atelier/api';
import { durationText, reasonText } from '@atelier/ui';
import { Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from './commands';

// Clocks differ.
const SKEW = 2000;

/** Which ends of the person's own runs are told. */
export type Wanted = 'all' | 'failed' | 'none';

/** A toast when one of the person's own runs has ended. */
export class Notices {
  constructor(
    private readonly atelier: IAtelier,
    private readonly commands: CommandRegistry,
    private readonly trans: TranslationBundle
  ) {
    atelier.feed.event.connect((_, event) => void this.heard(event));
  }

  wanted: Wanted = 'all';

  private async heard(event: Event): Promise<void> {
    const failed = event.kind === 'run.failed';
    // A tab that was just opened hears what it missed, too: that is no news.
    if (Date.parse(event.at) < performance.timeOrigin - SKEW) {
      return;
    }
    if (this.wanted === 'none' || !(failed || (event.kind === 'run.finished' && this.wanted === 'all'))) {
      return;
    }
    try {
      const { user } = await this.atelier.info;
      const path = { project: event.project, run: event.subject };
      const run = await unwrap(this.atelier.rest.GET('/projects/{project}/runs/{run}', { params: { path } }));
      if (run.created_by === user) {
        this.tell(run, failed);
      }
    } catch {
      // Nobody asked for it: a run that cannot be read any more is not worth an error.
    }
  }

  private tell(run: Run, failed: boolean): void {
    const { trans } = this;
    const took =
      run.started_at && run.ended_at
        ? durationText(trans, Date.parse(run.ended_at) - Date.parse(run.started_at))
        : '';
    const text = failed
      ? trans.__('“%1” failed: %2', run.name, run.message || reasonText(trans, run.reason))
      : trans.__('“%1” is done after %2.', run.name, took);
    const open = {
      label: trans.__('Open'),
      callback: (): void => void this.commands.execute(CommandIDs.open, { project: run.project, run: run.id })
    };
    Notification.emit(text, failed ? 'error' : 'success', {
      autoClose: failed ? 15_000 : 6000,
      actions: [open]
    });
  }
}
