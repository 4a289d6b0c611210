import { Event } from '@atelier/api';
import { ErrorNotice, ServiceBadge, useEvents, useLoaded, useTrans, WithTrans } from '@atelier/ui';
import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { nameIn, Revision, ServicesClient, ServicesModel } from '../model';
import { WhyNot } from '../ServiceView';

/** What is followed. */
export interface ProgressOf {
  model: ServicesModel;
  client: ServicesClient;
  service: string;
}

/** Show how a deployment goes until it answers or has failed; resolved then, or when the person does not wait. */
export async function showProgress(trans: TranslationBundle, of: ProgressOf): Promise<void> {
  const body = ReactWidget.create(
    <WithTrans trans={trans}>
      <Progress {...of} onEnd={() => dialog.resolve()} />
    </WithTrans>
  );
  const dialog = new Dialog<unknown>({
    title: trans.__('Deploying %1', of.service),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Go to the service') })]
  });
  await dialog.launch();
}

function Progress(props: ProgressOf & { onEnd: () => void }): JSX.Element {
  const { client, service, model, onEnd } = props;
  const trans = useTrans();
  const [said, setSaid] = React.useState<Event[]>([]);
  const { value, error, again } = useLoaded(
    async () => (await client.revisions(service))[0],
    [client, service, said.length]
  );
  useEvents(model, event => {
    // `observed` repeats a state; it is told only where it brings a reason.
    if (nameIn(event) === service && (event.kind !== 'service.observed' || event.data.message)) {
      setSaid(old => [...old, event]);
    }
  });
  const state = value?.state;
  React.useEffect(() => {
    if (state === 'running') {
      onEnd();
    }
  }, [state]);
  return (
    <div className="at-Form at-Progress" role="status">
      <ErrorNotice error={error} retry={again} />
      {value && <Now revision={value} />}
      <ol className="at-Progress-events" aria-label={trans.__('What happened')}>
        {said.slice(-8).map(event => (
          <li key={event.id}>
            <span className="at-Quiet">{new Date(event.at).toLocaleTimeString()}</span>{' '}
            {eventText(trans, event)}
          </li>
        ))}
      </ol>
    </div>
  );
}

function Now({ revision }: { revision: Revision }): JSX.Element {
  const trans = useTrans();
  return (
    <>
      <div className="at-Line">
        <ServiceBadge state={revision.state} />
        <span>{trans.__('Revision %1', revision.number)}</span>
        <span className="at-Quiet at-Ellipsis">{revision.source}</span>
      </div>
      <WhyNot reason={revision.reason} message={revision.message} />
    </>
  );
}

/** An event of a service as people say it. */
export function eventText(trans: TranslationBundle, event: Event): string {
  const words: Record<string, string> = {
    'service.created': trans.__('The service was made'),
    'service.deployed': trans.__('The revision was stored'),
    'service.launched': trans.__('Replicas are being started'),
    'service.rollout_started': trans.__('A revision is being rolled out'),
    'service.revision_ready': trans.__('The revision is ready'),
    'service.rollout_failed': trans.__('The revision did not become ready'),
    'service.replica_ready': trans.__('A replica answers'),
    'service.replica_unready': trans.__('A replica does not answer any more'),
    'service.replica_failed': trans.__('A replica has failed'),
    'service.traffic_changed': trans.__('The traffic was moved'),
    'service.rolled_back': trans.__('The revision was taken back'),
    'service.scaled': trans.__('The number of replicas was changed')
  };
  const said = [event.data.reason, event.data.message].filter(one => typeof one === 'string' && one);
  return words[event.kind] ?? (said.length ? said.join(': ') : event.kind.replace('service.', ''));
}
