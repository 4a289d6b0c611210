import { IAtelier } from '@atelier/api';
import {
  Ago,
  bytesText,
  datasetsIcon,
  EmptyState,
  ErrorNotice,
  Loading,
  refusal,
  RowList,
  SearchInput,
  TextButton,
  useMembership,
  useSignal,
  useTrans
} from '@atelier/ui';
import { addIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Dataset, DatasetsModel } from './model';
import { Uploads } from './Uploads';

/** What the panel can do. */
export interface PanelProps {
  atelier: IAtelier;
  model: DatasetsModel;
  onOpen: (dataset: Dataset) => void;
  onRegister: () => void;
}

/** The datasets of the project, and what is on its way. */
export function DatasetsPanel(props: PanelProps): JSX.Element {
  const { model } = props;
  const trans = useTrans();
  const [query, setQuery] = React.useState('');
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  useSignal(model.changed);
  React.useEffect(() => model.begin(), [model]);
  return (
    <>
      <div className="at-Panel-bar">
        <SearchInput label={trans.__('Filter datasets')} onChange={setQuery} />
        <TextButton
          icon={addIcon}
          label={trans.__('Register')}
          disabled={Boolean(refused)}
          title={refused || trans.__('Register a file, a folder or an address as a dataset')}
          onClick={props.onRegister}
        />
      </div>
      <Uploads model={model} />
      <ErrorNotice error={model.error} retry={() => void model.load()} />
      <List {...props} query={query} refused={refused} />
    </>
  );
}

function List(props: PanelProps & { query: string; refused: string }): JSX.Element | null {
  const { model, query } = props;
  const trans = useTrans();
  if (!model.datasets) {
    return model.error ? null : <Loading />;
  }
  if (model.datasets.length === 0) {
    const action = props.refused
      ? undefined
      : { label: trans.__('Register a dataset'), run: props.onRegister };
    return (
      <EmptyState icon={datasetsIcon} title={trans.__('No datasets yet')} action={action}>
        {trans.__(
          'Register a file, a folder or an address. Each change becomes a version that runs can name.'
        )}
      </EmptyState>
    );
  }
  const shown = model.datasets.filter(one => fits(one, query));
  return (
    <RowList
      label={trans.__('Datasets')}
      items={shown}
      idOf={one => one.name}
      nameOf={one => one.name}
      draw={one => <Row dataset={one} />}
      onOpen={props.onOpen}
      footer={shown.length ? null : <EmptyState title={trans.__('No dataset fits the filter.')} />}
    />
  );
}

function fits(dataset: Dataset, query: string): boolean {
  const text = [dataset.name, dataset.description, ...dataset.tags].join('\n').toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every(word => text.includes(word));
}

function Row({ dataset }: { dataset: Dataset }): JSX.Element {
  const trans = useTrans();
  const { newest } = dataset;
  return (
    <>
      <div className="at-Line">
        <datasetsIcon.react tag="span" className="at-Items-icon" aria-hidden="true" />
        <span className="at-Line-grow at-Ellipsis" title={dataset.name}>
          {dataset.name}
        </span>
        {newest && <span className="at-Quiet at-Small">{trans.__('v%1', newest.number)}</span>}
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        <span>{newest ? sizeText(newest) : trans.__('no version yet')}</span>
        <span className="at-Line-grow" />
        <Ago at={dataset.changed_at} />
      </div>
    </>
  );
}

function sizeText(version: { uri: string; size: number }): string {
  return version.uri || bytesText(version.size);
}
