import { IAtelier } from '@atelier/api';
import { CopyText } from '@atelier/models';
import {
  Ago,
  ErrorNotice,
  Loading,
  reasonText,
  refusal,
  ServiceBadge,
  Tabs,
  TextButton,
  useEvents,
  useLoaded,
  useMembership,
  useTrans
} from '@atelier/ui';
import * as React from 'react';

import { ServiceActions } from './actions';
import { Console } from './console/Console';
import { DriftTab } from './Drift';
import { Figures } from './Figures';
import { Keys } from './Keys';
import { Logs } from './Logs';
import { nameIn, Replica, Revision, Service, ServicesClient, ServicesModel } from './model';
import { Replicas } from './Replicas';
import { Revisions } from './Revisions';
import { TrafficTable } from './TrafficTable';

const GATHER = 250;

/** What a service's page can do. */
export interface ServiceViewProps {
  atelier: IAtelier;
  model: ServicesModel;
  client: ServicesClient;
  actions: ServiceActions;
  name: string;
  onRemoved: () => void;
  onDeploy: (revision: Revision | undefined) => void;
}

/** What is loaded of a service. */
export interface Parts {
  service: Service;
  revisions: Revision[];
  replicas: Replica[];
}

/** One service: how it is, who gets which traffic, its replicas, and a console to try it. */
export function ServiceView(props: ServiceViewProps): JSX.Element {
  const { client, name, model } = props;
  const trans = useTrans();
  const [tab, setTab] = React.useState('overview');
  const [log, setLog] = React.useState('');
  const { value, error, again } = useLoaded(() => loadParts(client, name), [client, name]);
  useHeard(model, name, again, props.onRemoved);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const of = { ...props, ...value };
  const tabs = [
    { id: 'overview', label: trans.__('Overview') },
    { id: 'test', label: trans.__('Try it') },
    { id: 'figures', label: trans.__('Figures') },
    { id: 'drift', label: trans.__('Drift') },
    { id: 'logs', label: trans.__('Logs') },
    { id: 'keys', label: trans.__('Keys') }
  ];
  const showLog = (replica: string): void => {
    setLog(replica);
    setTab('logs');
  };
  return (
    <>
      <Header {...of} />
      <ErrorNotice error={error} retry={again} />
      <Tabs label={name} tabs={tabs} current={tab} onChange={setTab}>
        {tab === 'overview' && <Overview {...of} onLog={showLog} />}
        {tab === 'test' && <Console {...of} />}
        {tab === 'figures' && <Figures client={client} name={name} />}
        {tab === 'drift' && <DriftTab {...props} current={currentOf(value)} />}
        {tab === 'logs' && <Logs {...of} picked={log} onPick={setLog} />}
        {tab === 'keys' && <Keys {...of} />}
      </Tabs>
    </>
  );
}

/** The revision that serves. */
function currentOf({ service, revisions }: Parts): Revision | undefined {
  return revisions.find(one => one.number === service.revision);
}

async function loadParts(client: ServicesClient, name: string): Promise<Parts> {
  const [service, revisions, replicas] = await Promise.all([
    client.get(name),
    client.revisions(name),
    client.replicas(name)
  ]);
  return { service, revisions, replicas };
}

/** Look again after events about the service: once for all that come at the same time. */
function useHeard(model: ServicesModel, name: string, again: () => void, gone: () => void): void {
  const timer = React.useRef(0);
  useEvents(model, event => {
    if (nameIn(event) !== name) {
      return;
    }
    if (event.kind === 'service.deleted') {
      gone();
      return;
    }
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(again, GATHER);
  });
  React.useEffect(() => () => window.clearTimeout(timer.current), []);
}

function Header(props: ServiceViewProps & Parts): JSX.Element {
  const { service, actions, client } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const limits = { disabled: Boolean(refused), title: refused };
  const over = ['stopped', 'failed', 'stopping'].includes(service.state);
  const current = currentOf(props);
  return (
    <header className="at-Run-header">
      <div className="at-Line at-Run-title">
        <ServiceBadge state={service.state} asleep={service.sleeping} />
        <h2 className="at-Title at-Ellipsis" title={service.name}>
          {service.name}
        </h2>
        {service.public && <span className="at-Tag">{trans.__('Public')}</span>}
        <span className="at-Line-grow" />
        <TextButton label={trans.__('Deploy…')} accept {...limits} onClick={() => props.onDeploy(current)} />
        {over || service.sleeping ? (
          <TextButton
            label={service.sleeping ? trans.__('Wake up') : trans.__('Start')}
            {...limits}
            onClick={() => void actions.start(client, service)}
          />
        ) : (
          <TextButton
            label={trans.__('Stop…')}
            {...limits}
            onClick={() => void actions.stop(client, service)}
          />
        )}
        <TextButton
          label={trans.__('Delete…')}
          {...limits}
          onClick={() => void actions.remove(client, service)}
        />
      </div>
      {service.description && <p className="at-Why">{service.description}</p>}
      <div className="at-Run-facts at-Quiet">
        <span className="at-Ellipsis" title={service.source}>
          {service.source}
        </span>
        <span>{trans.__('on %1', service.on)}</span>
        <span>{trans.__('by %1', service.created_by)}</span>
        <Ago at={service.changed_at} />
      </div>
      <WhyNot reason={service.reason} message={service.message} />
    </header>
  );
}

/** The reason of a state and what is said about it. */
export function WhyNot(props: { reason: string; message: string }): JSX.Element | null {
  const trans = useTrans();
  const { reason, message } = props;
  if (!reason && !message) {
    return null;
  }
  return (
    <p className="at-Why">
      {reason && <strong>{serviceReason(trans, reason)}</strong>}
      {reason && message && ': '}
      {message}
    </p>
  );
}

/** Why a service or revision is in its state; what is not of services is said as everywhere. */
export function serviceReason(trans: ReturnType<typeof useTrans>, reason: string): string {
  const words: Record<string, string> = {
    Sleeping: trans.__('Asleep until somebody asks'),
    RollingOut: trans.__('A revision is being rolled out'),
    Canary: trans.__('A revision is on trial'),
    CrashLoop: trans.__('Its replicas end again and again'),
    RolloutFailed: trans.__('The last revision did not become ready'),
    RolledBack: trans.__('Taken back'),
    NotReady: trans.__('It is not ready'),
    Expired: trans.__('Its time was over'),
    Replaced: trans.__('Another revision took its place')
  };
  return words[reason] ?? reasonText(trans, reason);
}

function Overview(props: ServiceViewProps & Parts & { onLog: (replica: string) => void }): JSX.Element {
  const trans = useTrans();
  return (
    <div className="at-Pad at-Service">
      <CopyText label={trans.__('URL')} text={fullUrl(props.service)} />
      <TrafficTable {...props} />
      <Replicas {...props} />
      <Revisions {...props} />
    </div>
  );
}

/** The address as programs elsewhere need it. */
export function fullUrl(service: Service): string {
  return new URL(service.url, window.location.origin).href;
}
