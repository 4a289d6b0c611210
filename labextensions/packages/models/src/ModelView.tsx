import { IAtelier } from '@atelier/api';
import {
  Ago,
  EmptyState,
  ErrorNotice,
  Loading,
  refusal,
  TextButton,
  useEvents,
  useLoaded,
  useMembership,
  useTrans
} from '@atelier/ui';
import * as React from 'react';

import { ModelActions } from './actions';
import { CompareView } from './CompareView';
import { Model, ModelsClient, ModelsModel, Version } from './model';
import { VersionTable } from './VersionTable';
import { VersionView } from './VersionView';

/** What a model's page can do. */
export interface ModelViewProps {
  atelier: IAtelier;
  model: ModelsModel;
  client: ModelsClient;
  actions: ModelActions;
  name: string;
  onRemoved: () => void;
  onRun: (run: string) => void;
  onDataset: (name: string) => void;
  /** Absent where services are switched off. */
  onDeploy?: (reference: string) => void;
}

/** One model: its versions, and of the chosen one everything that is known. */
export function ModelView(props: ModelViewProps): JSX.Element {
  const { client, name, model } = props;
  const { value, error, again } = useLoaded(
    () => Promise.all([client.get(name), client.versions(name)]),
    [client, name]
  );
  useEvents(model, event => event.subject === name && event.project === client.project && again());
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const [found, versions] = value;
  return (
    <>
      <Header {...props} found={found} />
      <ErrorNotice error={error} retry={again} />
      <Versions {...props} found={found} versions={versions} />
    </>
  );
}

function Header(props: ModelViewProps & { found: Model }): JSX.Element {
  const { found, actions, client } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const limits = { disabled: Boolean(refused), title: refused };
  const remove = async (): Promise<void> => {
    if (await actions.remove(client, found)) {
      props.onRemoved();
    }
  };
  return (
    <header className="at-Run-header">
      <div className="at-Line at-Run-title">
        <h2 className="at-Title at-Ellipsis" title={found.name}>
          {found.name}
        </h2>
        <span className="at-Line-grow" />
        <TextButton
          label={trans.__('Describe…')}
          {...limits}
          onClick={() => void actions.describe(client, found)}
        />
        <TextButton label={trans.__('Delete…')} {...limits} onClick={() => void remove()} />
      </div>
      {found.description && <p className="at-Why">{found.description}</p>}
      <div className="at-Run-facts at-Quiet">
        <span>{trans.__('by %1', found.created_by)}</span>
        <Ago at={found.changed_at} />
      </div>
    </header>
  );
}

function Versions(props: ModelViewProps & { found: Model; versions: Version[] }): JSX.Element {
  const { versions } = props;
  const trans = useTrans();
  const [picked, setPicked] = React.useState(0);
  const [chosen, setChosen] = React.useState<number[]>([]);
  const [comparing, setComparing] = React.useState(false);
  if (versions.length === 0) {
    return (
      <EmptyState title={trans.__('No version yet')}>
        {trans.__('Register the output of a step, or let a step of a pipeline register it.')}
      </EmptyState>
    );
  }
  const version = versions.find(one => one.number === picked) ?? versions[0];
  const known = chosen.filter(number => versions.some(one => one.number === number));
  const pick = (number: number): void => {
    setPicked(number);
    setComparing(false);
  };
  return (
    <div className="at-Model">
      <VersionTable
        versions={versions}
        picked={comparing ? 0 : version.number}
        chosen={known}
        onPick={pick}
        onChoose={setChosen}
        onCompare={() => setComparing(true)}
      />
      {comparing && known.length === 2 ? (
        <CompareView {...props} numbers={[known[0], known[1]]} onClose={() => setComparing(false)} />
      ) : (
        <VersionView key={version.number} {...props} version={version} />
      )}
    </div>
  );
}
