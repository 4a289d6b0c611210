import { Ago, bytesText, numberText, TextButton, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Version } from './model';
import { Approved } from './Panel';

const MOST_METRICS = 4;

interface TableProps {
  versions: Version[];
  picked: number;
  chosen: number[];
  onPick: (number: number) => void;
  onChoose: (numbers: number[]) => void;
  onCompare: () => void;
}

/** All versions, newest first, with what they reached; two of them can be compared. */
export function VersionTable(props: TableProps): JSX.Element {
  const { versions, chosen } = props;
  const trans = useTrans();
  const metrics = metricNames(versions);
  const two = chosen.length === 2;
  const why = two ? undefined : trans.__('Tick two versions first');
  return (
    <section className="at-Versions" aria-label={trans.__('Versions')}>
      <div className="at-Panel-bar">
        <strong>{trans._n('%1 version', '%1 versions', versions.length)}</strong>
        <span className="at-Line-grow" />
        <TextButton label={trans.__('Compare')} disabled={!two} title={why} onClick={props.onCompare} />
      </div>
      <div className="at-Versions-box" tabIndex={0} role="region" aria-label={trans.__('Table of versions')}>
        <table className="at-Grid">
          <thead>
            <tr>
              <th scope="col">
                <span className="at-visually-hidden">{trans.__('Compare')}</span>
              </th>
              <th scope="col">{trans.__('Version')}</th>
              <th scope="col">{trans.__('Aliases')}</th>
              {metrics.map(name => (
                <th key={name} scope="col" className="at-mod-number at-Ellipsis" title={name}>
                  {name}
                </th>
              ))}
              <th scope="col" className="at-mod-number">
                {trans.__('Size')}
              </th>
              <th scope="col">{trans.__('Registered')}</th>
              <th scope="col">{trans.__('By')}</th>
            </tr>
          </thead>
          <tbody>
            {versions.map(version => (
              <VersionRow key={version.number} {...props} version={version} metrics={metrics} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function VersionRow(props: TableProps & { version: Version; metrics: string[] }): JSX.Element {
  const { version, metrics, chosen, onPick } = props;
  const trans = useTrans();
  const { number } = version;
  const ticked = chosen.includes(number);
  const tick = (): void =>
    // The older one is forgotten: two are compared.
    props.onChoose(ticked ? chosen.filter(one => one !== number) : [...chosen, number].slice(-2));
  return (
    <tr
      className={number === props.picked ? 'at-mod-picked' : undefined}
      onClick={event => !(event.target as HTMLElement).closest('input') && onPick(number)}
    >
      <td>
        <input
          type="checkbox"
          checked={ticked}
          aria-label={trans.__('Compare version %1', number)}
          onChange={tick}
        />
      </td>
      <th scope="row">
        <button
          type="button"
          className="at-LinkButton"
          aria-current={number === props.picked}
          onClick={() => onPick(number)}
        >
          {trans.__('Version %1', number)}
        </button>
        {version.approval && <Approved />}
        {version.state !== 'ready' && (
          <span className="at-Tag" title={version.message}>
            {version.state === 'failed' ? trans.__('Failed') : trans.__('Being stored')}
          </span>
        )}
      </th>
      <td>
        {version.aliases.map(alias => (
          <span key={alias} className="at-Tag">
            @{alias}
          </span>
        ))}
      </td>
      {metrics.map(name => (
        <td key={name} className="at-mod-number" title={String(version.metrics[name] ?? '')}>
          {name in version.metrics ? numberText(version.metrics[name]) : '–'}
        </td>
      ))}
      <td className="at-mod-number">{bytesText(version.size)}</td>
      <td>
        <Ago at={version.created_at} />
      </td>
      <td className="at-Ellipsis" title={version.created_by}>
        {version.created_by}
      </td>
    </tr>
  );
}

/** The metrics that most versions have, in the order of their names. */
function metricNames(versions: Version[]): string[] {
  const counts = new Map<string, number>();
  versions
    .flatMap(one => Object.keys(one.metrics))
    .forEach(name => counts.set(name, (counts.get(name) ?? 0) + 1));
  return [...counts.keys()]
    .sort((one, other) => (counts.get(other) ?? 0) - (counts.get(one) ?? 0) || one.localeCompare(other))
    .slice(0, MOST_METRICS)
    .sort();
}
