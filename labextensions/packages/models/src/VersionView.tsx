import {
  Ago,
  bytesText,
  ErrorNotice,
  IconButton,
  Loading,
  numberText,
  refusal,
  Tabs,
  TextButton,
  useLoaded,
  useMembership,
  useTrans,
  valueText
} from '@atelier/ui';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CopyText } from './CopyText';
import { Lineage } from './Lineage';
import { referenceOf, Version, VersionDetail } from './model';
import { ModelViewProps } from './ModelView';
import { Approved } from './Panel';
import { SignatureView } from './SignatureView';
import { loadSnippet } from './snippets';

type Props = ModelViewProps & { version: Version };
type DetailProps = Props & { detail: VersionDetail };

/** Everything that is known of one version, and what can be done with it. */
export function VersionView(props: Props): JSX.Element {
  const { client, name, version } = props;
  const trans = useTrans();
  const [tab, setTab] = React.useState('about');
  const { value, error, again } = useLoaded(
    () => client.version(name, version.number),
    [client, name, version]
  );
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const of = { ...props, detail: value };
  const tabs = [
    { id: 'about', label: trans.__('About') },
    { id: 'signature', label: trans.__('Signature') },
    { id: 'parameters', label: trans.__('Parameters') },
    { id: 'use', label: trans.__('Use it') }
  ];
  return (
    <div className="at-Version">
      <Head {...of} />
      {value.message && <p className="at-Why at-Version-why">{value.message}</p>}
      <Tabs label={trans.__('Version %1', version.number)} tabs={tabs} current={tab} onChange={setTab}>
        {tab === 'about' && <About {...of} />}
        {tab === 'signature' && <SignatureView signature={value.signature} />}
        {tab === 'parameters' && <Parameters detail={value} />}
        {tab === 'use' && <Use {...of} />}
      </Tabs>
    </div>
  );
}

function Head(props: DetailProps): JSX.Element {
  const { detail, client, actions, name, onDeploy } = props;
  const trans = useTrans();
  const membership = useMembership(props.atelier);
  const member = refusal(trans, membership, 'member');
  const maintainer = refusal(trans, membership, 'maintainer');
  const unready = detail.state === 'ready' ? '' : trans.__('The version is not ready.');
  return (
    <div className="at-Panel-bar">
      <strong>{trans.__('Version %1', detail.number)}</strong>
      {detail.approval && <Approved />}
      <span className="at-Quiet">
        {[detail.framework, bytesText(detail.size)].filter(Boolean).join(', ')}
      </span>
      <span className="at-Line-grow" />
      {onDeploy && (
        <TextButton
          label={trans.__('Deploy…')}
          accept
          disabled={Boolean(member || unready)}
          title={member || unready}
          onClick={() => onDeploy(referenceOf(name, detail))}
        />
      )}
      <TextButton
        label={detail.approval ? trans.__('Take back approval') : trans.__('Approve…')}
        disabled={Boolean(maintainer || unready)}
        title={maintainer || unready || trans.__('Only approved versions may be called production')}
        onClick={() => void actions.approve(client, detail)}
      />
      <a
        className="jp-Button jp-mod-styled at-Button at-DownloadLink"
        href={contentUrl(client.project, detail)}
        download
      >
        {trans.__('Download')}
      </a>
      <TextButton
        label={trans.__('Delete version…')}
        disabled={Boolean(member)}
        title={member}
        onClick={() => void actions.removeVersion(client, detail)}
      />
    </div>
  );
}

function contentUrl(project: string, { name, number }: VersionDetail): string {
  const path = ['projects', project, 'models', name, 'versions', String(number), 'content'];
  return URLExt.join(PageConfig.getBaseUrl(), 'atelier/api', path.map(encodeURIComponent).join('/'));
}

function About(props: DetailProps): JSX.Element {
  const { detail } = props;
  const trans = useTrans();
  const metrics = Object.entries(detail.metrics);
  return (
    <div className="at-Pad">
      {metrics.length > 0 && (
        <dl className="at-Metrics">
          {metrics.map(([name, value]) => (
            <div key={name} className="at-Metrics-one">
              <dt title={name}>{name}</dt>
              <dd title={String(value)}>{numberText(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      <table className="at-Facts" aria-label={trans.__('About')}>
        <tbody>
          <tr>
            <th scope="row">{trans.__('Aliases')}</th>
            <td>
              <Aliases {...props} />
            </td>
          </tr>
          <tr>
            <th scope="row">{trans.__('Approval')}</th>
            <td>
              <Approval detail={detail} />
            </td>
          </tr>
          {detail.note && (
            <tr>
              <th scope="row">{trans.__('Note')}</th>
              <td>{detail.note}</td>
            </tr>
          )}
          <Lineage {...props} />
          <tr>
            <th scope="row">{trans.__('Registered')}</th>
            <td>
              {trans.__('by %1', detail.created_by)}, <Ago at={detail.created_at} />
            </td>
          </tr>
          <tr>
            <th scope="row">{trans.__('Formats')}</th>
            <td>{detail.flavors.join(', ') || '–'}</td>
          </tr>
          <tr>
            <th scope="row">{trans.__('Content')}</th>
            <td>
              {trans._n('%1 file', '%1 files', detail.files)}, {bytesText(detail.size)},{' '}
              <code className="at-Digest" title={detail.manifest}>
                {detail.manifest.replace(/^sha256:/, '').slice(0, 12)}
              </code>
            </td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

function Aliases(props: DetailProps): JSX.Element {
  const { detail, client, actions } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  return (
    <span className="at-Aliases">
      {detail.aliases.map(alias => (
        <span key={alias} className="at-Tag at-Alias">
          @{alias}
          <IconButton
            icon={closeIcon}
            label={refused || trans.__('Remove the alias %1', alias)}
            disabled={Boolean(refused)}
            onClick={() => void actions.removeAlias(client, detail.name, alias)}
          />
        </span>
      ))}
      <TextButton
        icon={addIcon}
        label={trans.__('Add alias…')}
        disabled={Boolean(refused)}
        title={refused}
        onClick={() => void actions.addAlias(client, detail)}
      />
    </span>
  );
}

function Approval({ detail }: { detail: VersionDetail }): JSX.Element {
  const trans = useTrans();
  const { approval } = detail;
  if (!approval) {
    return <span className="at-Quiet">{trans.__('Not approved; it cannot serve production yet.')}</span>;
  }
  return (
    <>
      {trans.__('by %1', approval.approved_by)}, <Ago at={approval.approved_at} />
      {approval.note && <div className="at-Quiet">{approval.note}</div>}
    </>
  );
}

function Parameters({ detail }: { detail: VersionDetail }): JSX.Element {
  const trans = useTrans();
  const entries = Object.entries(detail.parameters);
  if (entries.length === 0) {
    return <p className="at-Pad at-Quiet">{trans.__('No parameters are known of this version.')}</p>;
  }
  return (
    <table className="at-Facts" aria-label={trans.__('Parameters')}>
      <tbody>
        {entries.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{valueText(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Use({ name, detail }: DetailProps): JSX.Element {
  const trans = useTrans();
  const reference = referenceOf(name, detail);
  const fixed = `models:/${name}/${detail.number}`;
  return (
    <div className="at-Pad at-Use">
      <CopyText label={trans.__('Reference')} text={reference} />
      {reference !== fixed && <CopyText label={trans.__('This version for ever')} text={fixed} />}
      <CopyText label="Python" text={loadSnippet(reference)} />
    </div>
  );
}
