import { IAtelier } from '@atelier/api';
import { bytesText, datasetsIcon, ListPanel, ListRow, useTrans } from '@atelier/ui';
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
export function DatasetsPanel({ atelier, model, onOpen, onRegister }: PanelProps): JSX.Element {
  const trans = useTrans();
  return (
    <ListPanel
      atelier={atelier}
      list={model}
      label={trans.__('Datasets')}
      filterLabel={trans.__('Filter datasets')}
      nothingFits={trans.__('No dataset fits the filter.')}
      add={{
        label: trans.__('Register'),
        title: trans.__('Register a file, a folder or an address as a dataset'),
        run: onRegister
      }}
      empty={{
        icon: datasetsIcon,
        title: trans.__('No datasets yet'),
        text: trans.__(
          'Register a file, a folder or an address. Each change becomes a version that runs can name.'
        ),
        action: { label: trans.__('Register a dataset'), run: onRegister }
      }}
      wordsOf={one => one.tags}
      draw={one => <Row dataset={one} />}
      onOpen={onOpen}
    >
      <Uploads model={model} />
    </ListPanel>
  );
}

function Row({ dataset }: { dataset: Dataset }): JSX.Element {
  const trans = useTrans();
  const { newest } = dataset;
  return (
    <ListRow
      icon={<datasetsIcon.react tag="span" className="at-Items-icon" aria-hidden="true" />}
      name={dataset.name}
      marks={newest && <span className="at-Quiet at-Small">{trans.__('v%1', newest.number)}</span>}
      details={<span>{newest ? newest.uri || bytesText(newest.size) : trans.__('no version yet')}</span>}
      changedAt={dataset.changed_at}
    />
  );
}
