import { IAtelier } from '@atelier/api';
import {
  Ago,
  bytesText,
  EmptyState,
  ErrorNotice,
  Loading,
  refusal,
  RowList,
  TextButton,
  useEvents,
  useLoaded,
  useMembership,
  useTrans
} from '@atelier/ui';
import * as React from 'react';

import { Files } from './Files';
import { Dataset, DatasetsClient, DatasetsModel, Version } from './model';

/** What a dataset's page can do. */
export interface DatasetViewProps {
  atelier: IAtelier;
  model: DatasetsModel;
  client: DatasetsClient;
  name: string;
  onNewVersion: (dataset: Dataset) => void;
  onRemove: (dataset: Dataset) => void;
  onRemoveVersion: (dataset: Dataset, version: Version) => void;
}

/** One dataset: its versions, their files, a look into each. */
export function DatasetView(props: DatasetViewProps): JSX.Element {
  const { client, name, model } = props;
  const { value, error, again } = useLoaded(
    () => Promise.all([client.get(name), client.versions(name)]),
    [client, name]
  );
  useEvents(model, event => event.subject === name && event.project === client.project && again());
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const [dataset, versions] = value;
  return (
    <>
      <Header {...props} dataset={dataset} />
      <ErrorNotice error={error} retry={again} />
      <Versions {...props} dataset={dataset} versions={versions} />
    </>
  );
}

function Header(props: DatasetViewProps & { dataset: Dataset }): JSX.Element {
  const { dataset } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const limits = { disabled: Boolean(refused), title: refused };
  return (
    <header className="at-Run-header">
      <div className="at-Line at-Run-title">
        <h2 className="at-Title at-Ellipsis" title={dataset.name}>
          {dataset.name}
        </h2>
        {dataset.tags.map(tag => (
          <span key={tag} className="at-Tag">
            {tag}
          </span>
        ))}
        <span className="at-Line-grow" />
        <TextButton
          label={trans.__('New version…')}
          accept
          {...limits}
          onClick={() => props.onNewVersion(dataset)}
        />
        <TextButton label={trans.__('Delete…')} {...limits} onClick={() => props.onRemove(dataset)} />
      </div>
      {dataset.description && <p className="at-Why">{dataset.description}</p>}
      <div className="at-Run-facts at-Quiet">
        <span>{trans.__('by %1', dataset.created_by)}</span>
        <Ago at={dataset.changed_at} />
      </div>
    </header>
  );
}

function Versions(props: DatasetViewProps & { dataset: Dataset; versions: Version[] }): JSX.Element {
  const { versions, client, dataset } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const [picked, setPicked] = React.useState(0);
  if (versions.length === 0) {
    return (
      <EmptyState
        title={trans.__('No version yet')}
        action={
          refused ? undefined : { label: trans.__('New version…'), run: () => props.onNewVersion(dataset) }
        }
      >
        {trans.__('Send files or name an address; runs can then use the dataset.')}
      </EmptyState>
    );
  }
  const version = versions.find(one => one.number === picked) ?? versions[0];
  return (
    <div className="at-Run-body">
      <div className="at-Run-steps">
        <RowList
          label={trans.__('Versions')}
          items={versions}
          idOf={one => String(one.number)}
          nameOf={one => trans.__('Version %1', one.number)}
          draw={one => <VersionRow version={one} />}
          onOpen={one => setPicked(one.number)}
          chosen={new Set([String(version.number)])}
        />
      </div>
      <div className="at-Run-step">
        <VersionHead
          version={version}
          refused={refused}
          onRemove={() => props.onRemoveVersion(dataset, version)}
        />
        {version.uri ? (
          <EmptyState title={trans.__('Kept elsewhere')}>
            <code>{version.uri}</code>
          </EmptyState>
        ) : (
          <Files key={version.number} client={client} dataset={dataset.name} version={version.number} />
        )}
      </div>
    </div>
  );
}

function VersionRow({ version }: { version: Version }): JSX.Element {
  const trans = useTrans();
  return (
    <>
      <div className="at-Line">
        <span className="at-Line-grow">{trans.__('Version %1', version.number)}</span>
        <span className="at-Quiet at-Small">
          {version.uri ? trans.__('address') : bytesText(version.size)}
        </span>
      </div>
      <div className="at-Quiet at-Small">
        {trans.__('by %1', version.created_by)} · <Ago at={version.created_at} />
      </div>
      {version.note && (
        <div className="at-Quiet at-Small at-Clamp" title={version.note}>
          {version.note}
        </div>
      )}
    </>
  );
}

function VersionHead(props: { version: Version; refused: string; onRemove: () => void }): JSX.Element {
  const { version, refused, onRemove } = props;
  const trans = useTrans();
  return (
    <div className="at-Panel-bar">
      <strong>{trans.__('Version %1', version.number)}</strong>
      {!version.uri && (
        <span className="at-Quiet">
          {trans._n('%1 file', '%1 files', version.files)}, {bytesText(version.size)}
        </span>
      )}
      <span className="at-Line-grow" />
      <TextButton
        label={trans.__('Delete version…')}
        disabled={Boolean(refused)}
        title={refused}
        onClick={onRemove}
      />
    </div>
  );
}
