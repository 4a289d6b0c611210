import { Chart } from '@atelier/runs';
import {
  EmptyState,
  ErrorNotice,
  Loading,
  numberText,
  useLoaded,
  useNow,
  useTrans,
  useVisible
} from '@atelier/ui';
import * as React from 'react';

import { chartsOf } from './charts';
import { ServicesClient, Stats } from './model';

const EVERY = 10_000;

/** What came in the last hour: requests, errors, latency; read again while somebody looks. */
export function Figures(props: { client: ServicesClient; name: string }): JSX.Element {
  const { client, name } = props;
  const trans = useTrans();
  const box = React.useRef<HTMLDivElement>(null);
  const visible = useVisible(box);
  const turn = useNow(visible, EVERY);
  const { value, error, again } = useLoaded(() => client.stats(name), [client, name, turn]);
  return (
    <div ref={box} className="at-Pad at-Figures" tabIndex={0} role="region" aria-label={trans.__('Figures')}>
      <ErrorNotice error={error} retry={again} />
      {!value && !error && <Loading />}
      {value?.revisions.length === 0 && (
        <EmptyState title={trans.__('No requests in the last hour')}>
          {trans.__('Send one from “Try it”, or call the URL.')}
        </EmptyState>
      )}
      {value && value.revisions.length > 0 && <Known stats={value} />}
    </div>
  );
}

function Known({ stats }: { stats: Stats }): JSX.Element {
  const trans = useTrans();
  const text = JSON.stringify(stats.revisions.map(one => one.minutes));
  const minute = Math.floor(Date.now() / 60_000);
  const options = React.useMemo(() => chartsOf(trans, stats, Date.now()), [text, minute]);
  return (
    <>
      <table className="at-Grid">
        <thead>
          <tr>
            <th scope="col">{trans.__('Revision')}</th>
            <th scope="col" className="at-mod-number">
              {trans.__('Requests')}
            </th>
            <th scope="col" className="at-mod-number">
              {trans.__('Per second, last minute')}
            </th>
            <th scope="col" className="at-mod-number">
              {trans.__('Errors')}
            </th>
            <th scope="col" className="at-mod-number">
              p50
            </th>
            <th scope="col" className="at-mod-number">
              p90
            </th>
            <th scope="col" className="at-mod-number">
              p99
            </th>
          </tr>
        </thead>
        <tbody>
          {stats.revisions.map(({ revision, hour, minute }) => (
            <tr key={revision}>
              <th scope="row">{revision}</th>
              <td className="at-mod-number">{numberText(hour.requests)}</td>
              <td className="at-mod-number">{numberText(minute.rate)}</td>
              <td className="at-mod-number">{`${hour.errors} (${(100 * hour.error_rate).toFixed(1)} %)`}</td>
              {[hour.p50, hour.p90, hour.p99].map((seconds, at) => (
                <td key={at} className="at-mod-number">
                  {latencyText(trans, seconds)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <div className="at-Figures-charts">
        {options.map(({ title, option }) => (
          <section key={title} aria-label={title}>
            <h3 className="at-Result-title">{title}</h3>
            <Chart option={option} title={title} />
          </section>
        ))}
      </div>
    </>
  );
}

/** Latencies are known by upper bounds. */
function latencyText(trans: ReturnType<typeof useTrans>, seconds: number): string {
  return seconds < 1
    ? trans.__('≤ %1 ms', numberText(seconds * 1000))
    : trans.__('≤ %1 s', numberText(seconds));
}
