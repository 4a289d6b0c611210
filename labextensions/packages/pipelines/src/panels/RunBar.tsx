import { Run } from '@atelier/api';
import {
  isFinal,
  reasonText,
  refusal,
  StateBadge,
  TextButton,
  useMembership,
  useWatched,
  whyText
} from '@atelier/ui';
import { stopIcon } from '@jupyterlab/ui-components';
import { showErrorMessage } from '@jupyterlab/apputils';
import React from 'react';

import { LiveRun } from '../model/live';
import { useSignalValue } from '../model/react';
import { Elapsed } from './Elapsed';
import { usePanel } from './services';

/** The run that the steps show: its state, how long, and a way to end it. */
export function RunBar(): React.JSX.Element | null {
  const { view } = usePanel();
  const run = useSignalValue(view.changed, () => view.live?.run ?? null);
  return run && view.live && <Bar run={run} live={view.live} />;
}

function Bar({ run, live }: { run: Run; live: LiveRun }): React.JSX.Element {
  const { view, trans, commands } = usePanel();
  const refused = refusal(trans, useMembership(view.atelier), 'member');
  const box = React.useRef<HTMLDivElement>(null);
  useWatched(box, !isFinal(run.state), () => live.lookAtUsage(), [live]);
  const why = whyText(trans, run);
  return (
    <div ref={box} className="at-RunBar" data-run={run.id} data-state={run.state} role="status">
      <StateBadge state={run.state} />
      <Elapsed from={run.started_at} to={run.ended_at} />
      <span className="at-RunBar-on" title={trans.__('Where it runs')}>
        {run.on}
      </span>
      {why && run.state !== 'done' && (
        <span className="at-RunBar-why" title={why}>
          {run.message || reasonText(trans, run.reason)}
        </span>
      )}
      {!isFinal(run.state) && run.state !== 'stopping' && (
        <TextButton
          icon={stopIcon}
          label={trans.__('Cancel')}
          disabled={Boolean(refused)}
          title={refused}
          onClick={() => {
            live.cancel().catch((error: Error) => showErrorMessage(trans.__('Not cancelled'), error));
          }}
        />
      )}
      {commands.hasCommand('atelier:open-run') && (
        <TextButton
          label={trans.__('Details')}
          onClick={() => void commands.execute('atelier:open-run', { project: run.project, run: run.id })}
        />
      )}
    </div>
  );
}
