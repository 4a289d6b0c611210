import { ReplicaUsage } from '@atelier/api';
import {
  Ago,
  cpuText,
  gpuText,
  isFinal,
  memoryText,
  ServiceBadge,
  TextButton,
  useTrans,
  useWatched
} from '@atelier/ui';
import * as React from 'react';

import { Replica, ServicesClient } from './model';
import { Parts, serviceReason } from './ServiceView';

interface ReplicasProps extends Parts {
  client: ServicesClient;
  onLog: (replica: string) => void;
}

/** The processes of a service, and why those that do not answer do not. */
export function Replicas(props: ReplicasProps): JSX.Element {
  const { replicas, client, service } = props;
  const trans = useTrans();
  const box = React.useRef<HTMLElement>(null);
  const runs = replicas.some(one => one.state === 'running');
  const usage = useWatched(box, runs, () => client.usage(service.name), [client, service.name]);
  const withGpu = [...(usage?.values() ?? [])].some(gpuText);
  return (
    <section ref={box} aria-label={trans.__('Replicas')}>
      <h3 className="at-Result-title">{trans.__('Replicas')}</h3>
      {replicas.length === 0 && <p className="at-Quiet">{trans.__('None runs now.')}</p>}
      {replicas.length > 0 && (
        <table className="at-Grid">
          <thead>
            <tr>
              <th scope="col">{trans.__('Replica')}</th>
              <th scope="col">{trans.__('State')}</th>
              <th scope="col" className="at-mod-number">
                {trans.__('CPU')}
              </th>
              <th scope="col" className="at-mod-number">
                {trans.__('Memory')}
              </th>
              {withGpu && (
                <th scope="col" className="at-mod-number">
                  {trans.__('GPU')}
                </th>
              )}
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
                  <ServiceBadge state={one.state} />
                  {!isFinal(one.state) && <span className="at-Tag">{answering(trans, one)}</span>}
                </td>
                <Used usage={usage?.get(one.id)} withGpu={withGpu} />
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

/** What a replica uses now, beside what it was given; why that is not known is said on the cells. */
function Used({ usage, withGpu }: { usage?: ReplicaUsage; withGpu: boolean }): JSX.Element {
  const trans = useTrans();
  const why = usage?.message || undefined;
  return (
    <>
      <td className="at-mod-number" title={why}>
        {usage && cpuText(trans, usage)}
      </td>
      <td className="at-mod-number" title={why}>
        {usage && memoryText(trans, usage)}
      </td>
      {withGpu && <td className="at-mod-number">{usage && gpuText(usage)}</td>}
    </>
  );
}

function answering(trans: ReturnType<typeof useTrans>, one: Replica): string {
  if (one.draining) {
    return trans.__('going');
  }
  return one.ready ? trans.__('answers') : trans.__('does not answer yet');
}
