import { refusal, TextButton, useMembership, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Traffic } from './model';
import type { Parts, ServiceViewProps } from './ServiceView';

/** Which revision gets which share; with several of them the shares can be set. */
export function TrafficTable(props: ServiceViewProps & Parts): JSX.Element | null {
  const { service, client, actions } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const shared = service.traffic.filter(one => one.stage === 'production');
  const [wanted, setWanted] = React.useState<Record<number, string>>({});
  React.useEffect(() => setWanted({}), [service.version]);
  if (service.traffic.length === 0) {
    return null;
  }
  const shareOf = (one: Traffic): number => Number(wanted[one.revision] ?? one.weight);
  const sum = shared.reduce((total, one) => total + shareOf(one), 0);
  const several = shared.length > 1;
  const changed = shared.some(one => shareOf(one) !== one.weight);
  const shares = Object.fromEntries(shared.map(one => [String(one.revision), shareOf(one)]));
  const trial = shared.find(one => one.place === 'canary');
  return (
    <section aria-label={trans.__('Traffic')}>
      <div className="at-Line">
        <h3 className="at-Result-title at-Line-grow">{trans.__('Traffic')}</h3>
        {several && (
          <>
            {sum !== 100 && (
              <span className="at-Quiet" role="status">
                {trans.__('The shares add up to %1, not 100.', sum)}
              </span>
            )}
            <TextButton
              label={trans.__('Set shares')}
              disabled={Boolean(refused) || !changed || sum !== 100}
              title={refused}
              onClick={() => void actions.setTraffic(client, service, shares)}
            />
          </>
        )}
        {trial && (
          <TextButton
            label={trans.__('Promote revision %1', trial.revision)}
            accept
            disabled={Boolean(refused)}
            title={refused}
            onClick={() => void actions.setTraffic(client, service, { [String(trial.revision)]: 100 })}
          />
        )}
        <TextButton
          label={trans.__('Roll back…')}
          disabled={Boolean(refused)}
          title={refused || trans.__('Away from a trial, or back to the revision before')}
          onClick={() => void actions.rollBack(client, service, null)}
        />
        <TextButton
          label={trans.__('Scale…')}
          disabled={Boolean(refused)}
          title={refused}
          onClick={() => void actions.scale(client, service, props.revisions)}
        />
      </div>
      <table className="at-Grid">
        <thead>
          <tr>
            <th scope="col">{trans.__('Revision')}</th>
            <th scope="col">{trans.__('Stage')}</th>
            <th scope="col">{trans.__('Share')}</th>
            <th scope="col">{trans.__('Mirrored')}</th>
            <th scope="col">{trans.__('Replicas')}</th>
          </tr>
        </thead>
        <tbody>
          {service.traffic.map(one => (
            <tr key={one.revision}>
              <th scope="row">
                {one.revision} <span className="at-Tag">{placeWord(trans, one)}</span>
              </th>
              <td>{stageWord(trans, one.stage)}</td>
              <td>
                {several && one.stage === 'production' ? (
                  <Share
                    value={String(wanted[one.revision] ?? one.weight)}
                    label={trans.__('Share of revision %1 in percent', one.revision)}
                    disabled={Boolean(refused)}
                    onChange={text => setWanted({ ...wanted, [one.revision]: text })}
                  />
                ) : one.stage === 'production' ? (
                  `${one.weight} %`
                ) : (
                  trans.__('by a header only')
                )}
              </td>
              <td>{one.mirror ? `${one.mirror} %` : '–'}</td>
              <td>{trans.__('%1 of %2 answer', one.ready, one.replicas)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Share(props: {
  value: string;
  label: string;
  disabled: boolean;
  onChange: (text: string) => void;
}): JSX.Element {
  const common = { min: 0, max: 100, value: props.value, disabled: props.disabled };
  const change = (event: React.ChangeEvent<HTMLInputElement>): void => props.onChange(event.target.value);
  return (
    <span className="at-Share">
      <input type="range" {...common} aria-label={props.label} onChange={change} />
      <input type="number" className="at-Input" {...common} aria-label={props.label} onChange={change} /> %
    </span>
  );
}

function placeWord(trans: ReturnType<typeof useTrans>, { place }: Traffic): string {
  const words: Record<string, string> = {
    current: trans.__('current'),
    canary: trans.__('on trial'),
    standby: trans.__('standing by')
  };
  return words[place] ?? place;
}

/** A stage as people say it. */
export function stageWord(trans: ReturnType<typeof useTrans>, stage: string): string {
  const words: Record<string, string> = {
    production: trans.__('Production'),
    test: trans.__('Test'),
    debug: trans.__('Debug')
  };
  return words[stage] ?? stage;
}
