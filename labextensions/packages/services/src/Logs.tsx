import { LogView } from '@atelier/runs';
import { EmptyState, stateWord, useTrans } from '@atelier/ui';
import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Parts, ServiceViewProps } from './ServiceView';

/** What a replica writes, live. */
export function Logs(
  props: ServiceViewProps & Parts & { picked: string; onPick: (replica: string) => void }
): JSX.Element {
  const { atelier, client, name, replicas, picked } = props;
  const trans = useTrans();
  const replica = replicas.find(one => one.id === picked) ?? replicas[0];
  if (!replica) {
    return (
      <EmptyState title={trans.__('No replica')}>
        {trans.__(
          'The logs of replicas are kept for an hour after their end. Start the service to see more.'
        )}
      </EmptyState>
    );
  }
  return (
    <>
      <div className="at-Panel-bar">
        <HTMLSelect
          aria-label={trans.__('Replica')}
          value={replica.id}
          onChange={event => props.onPick(event.target.value)}
        >
          {replicas.map(one => (
            <option key={one.id} value={one.id}>
              {`${trans.__('Revision %1, replica %2', one.revision, one.number)} · ${stateWord(trans, one.state)}`}
            </option>
          ))}
        </HTMLSelect>
      </div>
      <LogView
        atelier={atelier}
        project={client.project}
        run=""
        step=""
        service={name}
        replica={replica.id}
      />
    </>
  );
}
