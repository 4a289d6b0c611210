import { IAtelier } from '@atelier/api';
import {
  Ago,
  EmptyState,
  ErrorNotice,
  Loading,
  reasonText,
  refusal,
  RowList,
  SearchInput,
  StateBadge,
  stateWord,
  TextButton,
  useMembership,
  useSignal,
  useTrans
} from '@atelier/ui';
import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { servicesIcon } from './icons';
import { Service, ServicesModel } from './model';

/** What the panel can do. */
export interface PanelProps {
  atelier: IAtelier;
  model: ServicesModel;
  onOpen: (service: Service) => void;
  onDeploy: () => void;
}

/** The services of the project, live. */
export function ServicesPanel(props: PanelProps): JSX.Element {
  const { model } = props;
  const trans = useTrans();
  const [query, setQuery] = React.useState('');
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  useSignal(model.changed);
  React.useEffect(() => model.begin(), [model]);
  return (
    <>
      <div className="at-Panel-bar">
        <SearchInput label={trans.__('Filter services')} onChange={setQuery} />
        <TextButton
          icon={addIcon}
          label={trans.__('New service')}
          disabled={Boolean(refused)}
          title={refused || trans.__('Deploy a model or an app')}
          onClick={props.onDeploy}
        />
      </div>
      <ErrorNotice error={model.error} retry={() => void model.load()} />
      <List {...props} query={query} refused={refused} />
    </>
  );
}

function List(props: PanelProps & { query: string; refused: string }): JSX.Element | null {
  const { model } = props;
  const trans = useTrans();
  if (!model.services) {
    return model.error ? null : <Loading />;
  }
  if (model.services.length === 0) {
    const action = props.refused ? undefined : { label: trans.__('New service'), run: props.onDeploy };
    return (
      <EmptyState icon={servicesIcon} title={trans.__('No services yet')} action={action}>
        {trans.__(
          'A service answers requests at a URL. Deploy a registered model, the output of a step, or an image of your own.'
        )}
      </EmptyState>
    );
  }
  const words = props.query.toLowerCase().split(/\s+/);
  const shown = model.services.filter(one => {
    const text = [one.name, one.description, one.source].join('\n').toLowerCase();
    return words.every(word => text.includes(word));
  });
  return (
    <RowList
      label={trans.__('Services')}
      items={shown}
      idOf={one => one.id}
      nameOf={one => `${one.name}, ${stateWord(trans, one.state)}`}
      draw={one => <Row service={one} />}
      onOpen={props.onOpen}
      footer={shown.length ? null : <EmptyState title={trans.__('No service fits the filter.')} />}
    />
  );
}

function Row({ service }: { service: Service }): JSX.Element {
  const trans = useTrans();
  const ready = service.traffic.reduce((sum, one) => sum + one.ready, 0);
  const wanted = service.traffic.reduce((sum, one) => sum + one.replicas, 0);
  return (
    <>
      <div className="at-Line">
        <StateBadge state={service.state} compact />
        <span className="at-Line-grow at-Ellipsis" title={service.name}>
          {service.name}
        </span>
        {wanted > 0 && (
          <span className="at-Quiet at-Small" title={trans.__('Replicas that answer, of those wanted')}>
            {`${ready}/${wanted}`}
          </span>
        )}
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        <span>{service.sleeping ? trans.__('Asleep') : stateWord(trans, service.state)}</span>
        <span className="at-Ellipsis" title={service.message || service.source}>
          {service.reason && !service.sleeping ? reasonText(trans, service.reason) : service.source}
        </span>
        <span className="at-Line-grow" />
        <Ago at={service.changed_at} />
      </div>
    </>
  );
}
