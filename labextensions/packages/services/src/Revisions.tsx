import { Ago, refusal, ServiceBadge, TextButton, useMembership, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Revision } from './model';
import { Parts, serviceReason, ServiceViewProps } from './ServiceView';
import { stageWord } from './TrafficTable';

/** Everything that was deployed, newest first; each can be gone back to. */
export function Revisions(props: ServiceViewProps & Parts): JSX.Element {
  const { revisions, service, client, actions } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  return (
    <section aria-label={trans.__('Revisions')}>
      <h3 className="at-Result-title">{trans.__('Revisions')}</h3>
      <table className="at-Grid">
        <thead>
          <tr>
            <th scope="col">{trans.__('Revision')}</th>
            <th scope="col">{trans.__('State')}</th>
            <th scope="col">{trans.__('What')}</th>
            <th scope="col">{trans.__('Stage')}</th>
            <th scope="col">{trans.__('Deployed')}</th>
            <th scope="col">
              <span className="at-visually-hidden">{trans.__('Roll back')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {revisions.map(one => (
            <tr key={one.number}>
              <th scope="row">{one.number}</th>
              <td className="at-Wrap">
                <ServiceBadge state={one.state} asleep={service.sleeping} />
                {one.reason && <div className="at-Quiet">{serviceReason(trans, one.reason)}</div>}
                {one.message && <pre className="at-Words">{one.message}</pre>}
              </td>
              <td className="at-Ellipsis" title={`${one.source}\n${one.image}`}>
                {one.source}
              </td>
              <td>{stageWord(trans, String(one.definition.stage ?? ''))}</td>
              <td>
                {trans.__('by %1', one.created_by)}, <Ago at={one.created_at} />
              </td>
              <td>
                {goesBack(one, service.revision) && (
                  <TextButton
                    label={trans.__('Back to this…')}
                    disabled={Boolean(refused)}
                    title={refused}
                    onClick={() => void actions.rollBack(client, service, one.number)}
                  />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function goesBack(one: Revision, current: number): boolean {
  return one.number !== current && one.definition.stage === 'production' && one.ready_at !== null;
}
