import { IAtelier } from '@atelier/api';
import { ListPanel, ListRow, ServiceBadge, serviceWord, useTrans } from '@atelier/ui';
import * as React from 'react';

import { servicesIcon } from './icons';
import { Service, ServicesModel } from './model';
import { serviceReason } from './ServiceView';

/** What the panel can do. */
export interface PanelProps {
  atelier: IAtelier;
  model: ServicesModel;
  onOpen: (service: Service) => void;
  onDeploy: () => void;
}

/** The services of the project, live. */
export function ServicesPanel({ atelier, model, onOpen, onDeploy }: PanelProps): JSX.Element {
  const trans = useTrans();
  return (
    <ListPanel
      atelier={atelier}
      list={model}
      label={trans.__('Services')}
      filterLabel={trans.__('Filter services')}
      nothingFits={trans.__('No service fits the filter.')}
      add={{ label: trans.__('New service'), title: trans.__('Deploy a model or an app'), run: onDeploy }}
      empty={{
        icon: servicesIcon,
        title: trans.__('No services yet'),
        text: trans.__(
          'A service answers requests at a URL. Deploy a registered model, the output of a step, or an image of your own.'
        )
      }}
      wordsOf={one => [one.source]}
      nameOf={one => `${one.name}, ${serviceWord(trans, one.state, one.sleeping)}`}
      draw={one => <Row service={one} />}
      onOpen={onOpen}
    />
  );
}

function Row({ service }: { service: Service }): JSX.Element {
  const trans = useTrans();
  const ready = service.traffic.reduce((sum, one) => sum + one.ready, 0);
  const wanted = service.traffic.reduce((sum, one) => sum + one.replicas, 0);
  return (
    <ListRow
      icon={<ServiceBadge state={service.state} asleep={service.sleeping} compact />}
      name={service.name}
      marks={
        wanted > 0 &&
        !service.sleeping && (
          <span className="at-Quiet at-Small" title={trans.__('Replicas that answer, of those wanted')}>
            {`${ready}/${wanted}`}
          </span>
        )
      }
      details={
        <>
          <span>{serviceWord(trans, service.state, service.sleeping)}</span>
          <span className="at-Ellipsis" title={service.message || service.source}>
            {service.reason && !service.sleeping ? serviceReason(trans, service.reason) : service.source}
          </span>
        </>
      }
      changedAt={service.changed_at}
    />
  );
}
