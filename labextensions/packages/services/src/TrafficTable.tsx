import { refusal, TextButton, useMembership, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Traffic } from './model';
import type { Parts, ServiceViewProps } from './ServiceView';

type Props = ServiceViewProps & Parts;

/** Which revision gets which share; with several of them the shares can be set. */
export function TrafficTable(props: Props): JSX.Element | null {
  const { service } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const [wanted, setWanted] = React.useState<Record<number, string>>({});
  React.useEffect(() => setWanted({}), [service.version]);
  if (service.traffic.length === 0) {
    return null;
  }
  const heads = [
    trans.__('Revision'),
    trans.__('Stage'),
    trans.__('Share'),
    trans.__('Mirrored'),
    trans.__('Replicas')
  ];
  return (
    <section aria-label={trans.__('Traffic')}>
      <Actions {...props} refused={refused} wanted={wanted} />
      <table className="at-Grid">
        <thead>
          <tr>
            {heads.map(head => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {service.traffic.map(one => (
            <TrafficRow
              key={one.revision}
              one={one}
              asleep={service.sleeping && one.ready === 0}
              shared={inProduction(service).length > 1}
              share={wanted[one.revision] ?? String(one.weight)}
              refused={refused}
              onShare={text => setWanted({ ...wanted, [one.revision]: text })}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function inProduction(service: Parts['service']): Traffic[] {
  return service.traffic.filter(one => one.stage === 'production');
}

function Actions(props: Props & { refused: string; wanted: Record<number, string> }): JSX.Element {
  const { service, client, actions, refused, wanted } = props;
  const trans = useTrans();
  const shared = inProduction(service);
  const trial = shared.find(one => one.place === 'canary');
  const limits = { disabled: Boolean(refused), title: refused };
  return (
    <div className="at-Line">
      <h3 className="at-Result-title at-Line-grow">{trans.__('Traffic')}</h3>
      {shared.length > 1 && <SetShares {...props} shared={shared} wanted={wanted} />}
      {trial && (
        <TextButton
          label={trans.__('Promote revision %1', trial.revision)}
          accept
          {...limits}
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
        {...limits}
        onClick={() => void actions.scale(client, service, props.revisions)}
      />
    </div>
  );
}

function SetShares(
  props: Props & { refused: string; shared: Traffic[]; wanted: Record<number, string> }
): JSX.Element {
  const { service, client, actions, refused, shared, wanted } = props;
  const trans = useTrans();
  const shareOf = (one: Traffic): number => Number(wanted[one.revision] ?? one.weight);
  const sum = shared.reduce((total, one) => total + shareOf(one), 0);
  const changed = shared.some(one => shareOf(one) !== one.weight);
  const shares = Object.fromEntries(shared.map(one => [String(one.revision), shareOf(one)]));
  return (
    <>
      <span className="at-Quiet" role="status">
        {sum === 100 ? '' : trans.__('The shares add up to %1, not 100.', sum)}
      </span>
      <TextButton
        label={trans.__('Set shares')}
        disabled={Boolean(refused) || !changed || sum !== 100}
        title={refused}
        onClick={() => void actions.setTraffic(client, service, shares)}
      />
    </>
  );
}

function TrafficRow(props: {
  one: Traffic;
  asleep: boolean;
  shared: boolean;
  share: string;
  refused: string;
  onShare: (text: string) => void;
}): JSX.Element {
  const { one, asleep } = props;
  const trans = useTrans();
  const production = one.stage === 'production';
  return (
    <tr>
      <th scope="row">
        {one.revision} <span className="at-Tag">{placeWord(trans, one)}</span>
      </th>
      <td>{stageWord(trans, one.stage)}</td>
      <td>
        {production && props.shared ? (
          <Share
            value={props.share}
            label={trans.__('Share of revision %1 in percent', one.revision)}
            disabled={Boolean(props.refused)}
            onChange={props.onShare}
          />
        ) : production ? (
          `${one.weight} %`
        ) : (
          trans.__('by a header only')
        )}
      </td>
      <td>{one.mirror ? `${one.mirror} %` : '–'}</td>
      <td>{asleep ? trans.__('Asleep') : trans.__('%1 of %2 answer', one.ready, one.replicas)}</td>
    </tr>
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
