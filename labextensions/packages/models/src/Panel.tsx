import { IAtelier } from '@atelier/api';
import { ListPanel, ListRow, useTrans } from '@atelier/ui';
import * as React from 'react';

import { approvedIcon, modelsIcon } from './icons';
import { Model, ModelsModel } from './model';

/** What the panel can do. */
export interface PanelProps {
  atelier: IAtelier;
  model: ModelsModel;
  onOpen: (model: Model) => void;
  onRegister: () => void;
  onDemo: () => void;
}

/** The registered models of the project. */
export function ModelsPanel({ atelier, model, onOpen, onRegister, onDemo }: PanelProps): JSX.Element {
  const trans = useTrans();
  return (
    <ListPanel
      atelier={atelier}
      list={model}
      label={trans.__('Models')}
      filterLabel={trans.__('Filter models')}
      nothingFits={trans.__('No model fits the filter.')}
      add={{
        label: trans.__('Register'),
        title: trans.__('Register the output of a step or a folder of the workspace as a model'),
        run: onRegister
      }}
      empty={{
        icon: modelsIcon,
        title: trans.__('No models yet'),
        text: trans.__(
          'A model gets here when a step registers it, or when you do: open a finished run, look at Outputs and choose Register. The demo trains one that you can begin with.'
        ),
        action: { label: trans.__('Open the demo'), run: onDemo }
      }}
      wordsOf={one => Object.keys(one.aliases)}
      draw={one => <Row model={one} />}
      onOpen={onOpen}
    />
  );
}

function Row({ model }: { model: Model }): JSX.Element {
  const trans = useTrans();
  const { newest } = model;
  const aliases = Object.entries(model.aliases).map(([alias, number]) => (
    <span key={alias} className="at-Tag at-Ellipsis" title={trans.__('Version %1', number)}>
      @{alias}
    </span>
  ));
  return (
    <ListRow
      icon={<modelsIcon.react tag="span" className="at-Items-icon" aria-hidden="true" />}
      name={model.name}
      marks={
        <>
          {newest?.approval && <Approved />}
          {newest && <span className="at-Quiet at-Small">{trans.__('v%1', newest.number)}</span>}
        </>
      }
      details={
        <>
          <span>{newest ? newest.framework : trans.__('no version yet')}</span>
          {aliases}
        </>
      }
      changedAt={model.changed_at}
    />
  );
}

/** A mark with words for those who cannot see it. */
export function Approved(): JSX.Element {
  const word = useTrans().__('Approved for production');
  return (
    <span className="at-Approved" title={word}>
      <approvedIcon.react tag="span" aria-hidden="true" />
      <span className="at-visually-hidden">{word}</span>
    </span>
  );
}
