import { IAtelier } from '@atelier/api';
import {
  Ago,
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

import { approvedIcon, modelsIcon } from './icons';
import { fits, Model, ModelsModel } from './model';

/** What the panel can do. */
export interface PanelProps {
  atelier: IAtelier;
  model: ModelsModel;
  onOpen: (model: Model) => void;
  onRegister: () => void;
  onDemo: () => void;
}

/** The registered models of the project. */
export function ModelsPanel(props: PanelProps): JSX.Element {
  const { model } = props;
  const trans = useTrans();
  const [query, setQuery] = React.useState('');
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  useSignal(model.changed);
  React.useEffect(() => model.begin(), [model]);
  return (
    <>
      <div className="at-Panel-bar">
        <SearchInput label={trans.__('Filter models')} onChange={setQuery} />
        <TextButton
          icon={addIcon}
          label={trans.__('Register')}
          disabled={Boolean(refused)}
          title={refused || trans.__('Register the output of a step or a folder of the workspace as a model')}
          onClick={props.onRegister}
        />
      </div>
      <ErrorNotice error={model.error} retry={() => void model.load()} />
      <List {...props} query={query} refused={refused} />
    </>
  );
}

function List(props: PanelProps & { query: string; refused: string }): JSX.Element | null {
  const { model, query } = props;
  const trans = useTrans();
  if (!model.models) {
    return model.error ? null : <Loading />;
  }
  if (model.models.length === 0) {
    const action = props.refused ? undefined : { label: trans.__('Open the demo'), run: props.onDemo };
    return (
      <EmptyState icon={modelsIcon} title={trans.__('No models yet')} action={action}>
        {trans.__(
          'A model gets here when a step registers it, or when you do: open a finished run, look at Outputs and choose Register. The demo trains one that you can begin with.'
        )}
      </EmptyState>
    );
  }
  const shown = model.models.filter(one => fits(one, query));
  return (
    <RowList
      label={trans.__('Models')}
      items={shown}
      idOf={one => one.name}
      nameOf={one => one.name}
      draw={one => <Row model={one} />}
      onOpen={props.onOpen}
      footer={shown.length ? null : <EmptyState title={trans.__('No model fits the filter.')} />}
    />
  );
}

function Row({ model }: { model: Model }): JSX.Element {
  const trans = useTrans();
  const { newest } = model;
  const aliases = Object.entries(model.aliases);
  return (
    <>
      <div className="at-Line">
        <modelsIcon.react tag="span" className="at-Items-icon" aria-hidden="true" />
        <span className="at-Line-grow at-Ellipsis" title={model.name}>
          {model.name}
        </span>
        {newest?.approval && <Approved />}
        {newest && <span className="at-Quiet at-Small">{trans.__('v%1', newest.number)}</span>}
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        <span>{newest ? newest.framework : trans.__('no version yet')}</span>
        {aliases.map(([alias, number]) => (
          <span key={alias} className="at-Tag at-Ellipsis" title={trans.__('Version %1', number)}>
            @{alias}
          </span>
        ))}
        <span className="at-Line-grow" />
        <Ago at={model.changed_at} />
      </div>
    </>
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
