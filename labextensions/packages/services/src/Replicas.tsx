import { Ago, isFinal, StateBadge, TextButton, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Replica } from './model';
import { Parts, serviceReason } from './ServiceView';

/** The processes of a service, and why those that do not answer do not. */
export function Replicas(props: Parts & { onLog: (replica: string) => void }): JSX.Element {
  const { replicas } = props;
  const trans = useTrans();
  return (
    <section aria-label={trans.__('Replicas')}>
      <h3 className="at-Result-title">{trans.__('Replicas')}</h3>
      {replicas.length === 0 && <p className="at-Quiet">{trans.__('None runs now.')}</p>}
      {replicas.length > 0 && (
        <table className="at-Grid">
          <thead>
            <tr>
              <th scope="col">{trans.__('Replica')}</th>
              <th scope="col">{trans.__('State')}</th>
              <th scope="col">{trans.__('Why')}</th>
              <th scope="col">{trans.__('Began')}</th>
              <th scope="col">
                <span className="at-visually-hidden">{trans.__('Logs')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {replicas.map(one => (
              <tr key={one.id}>
                <th scope="row" title={one.id}>
                  {trans.__('Revision %1, replica %2', one.revision, one.number)}
                </th>
                <td>
                  <StateBadge state={one.state} lasting />
                  {!isFinal(one.state) && <span className="at-Tag">{answering(trans, one)}</span>}
                </td>
                <td className="at-Wrap">
                  {one.reason && serviceReason(trans, one.reason)}
                  {one.message && <div className="at-Quiet">{one.message}</div>}
                  {one.words && <pre className="at-Words">{one.words}</pre>}
                </td>
                <td>
                  <Ago at={one.created_at} />
                </td>
                <td>
                  <TextButton label={trans.__('Log')} onClick={() => props.onLog(one.id)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function answering(trans: ReturnType<typeof useTrans>, one: Replica): string {
  if (one.draining) {
    return trans.__('going');
  }
  return one.ready ? trans.__('answers') : trans.__('does not answer yet');
}
