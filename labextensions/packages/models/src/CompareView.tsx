import { ErrorNotice, IconButton, Loading, numberText, useLoaded, useTrans, valueText } from '@atelier/ui';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { VersionDetail } from './model';
import { ModelViewProps } from './ModelView';

type Pair<T> = [T, T];

/** Two versions side by side; what differs stands out. */
export function CompareView(
  props: ModelViewProps & { numbers: Pair<number>; onClose: () => void }
): JSX.Element {
  const { client, name, numbers } = props;
  const trans = useTrans();
  const sorted = [...numbers].sort((one, other) => one - other) as Pair<number>;
  const { value, error, again } = useLoaded(
    () => Promise.all([client.version(name, sorted[0]), client.version(name, sorted[1])]),
    [client, name, sorted.join()]
  );
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <div className="at-Compare" tabIndex={0} role="region" aria-label={trans.__('Two versions side by side')}>
      <div className="at-Line">
        <h3 className="at-Line-grow">{trans.__('Versions %1 and %2', ...sorted)}</h3>
        <IconButton icon={closeIcon} label={trans.__('Close the comparison')} onClick={props.onClose} />
      </div>
      <Rows
        title={trans.__('Metrics')}
        empty={trans.__('Neither version has metrics.')}
        rows={rowsOf(value, one => one.metrics, numberText, difference)}
      />
      <Rows
        title={trans.__('Parameters')}
        empty={trans.__('Neither version has parameters.')}
        rows={rowsOf(value, one => one.parameters, valueText)}
      />
      <Rows title={trans.__('Where they come from')} empty="" rows={origins(trans, value)} />
    </div>
  );
}

interface Row {
  name: string;
  cells: Pair<string>;
  extra?: string;
}

function rowsOf<T>(
  versions: Pair<VersionDetail>,
  of: (version: VersionDetail) => Record<string, T>,
  text: (value: T) => string,
  extra?: (one: T, other: T) => string
): Row[] {
  const [one, other] = versions.map(of) as Pair<Record<string, T>>;
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return names.map(name => ({
    name,
    cells: [one, other].map(values => (name in values ? text(values[name]) : '–')) as Pair<string>,
    extra: name in one && name in other ? extra?.(one[name], other[name]) : undefined
  }));
}

function difference(one: number, other: number): string {
  const by = other - one;
  return by ? `(${by > 0 ? '+' : ''}${numberText(by)})` : '';
}

function origins(trans: ReturnType<typeof useTrans>, versions: Pair<VersionDetail>): Row[] {
  const row = (name: string, read: (one: VersionDetail) => string): Row => ({
    name,
    cells: versions.map(one => read(one) || '–') as Pair<string>
  });
  return [
    row(trans.__('Framework'), one => one.framework),
    row(trans.__('Run'), one => one.lineage.run),
    row(trans.__('Pipeline'), one => one.lineage.pipeline),
    row(trans.__('Revision'), one => one.lineage.revision),
    row(trans.__('Datasets'), one => one.lineage.datasets.join(', '))
  ];
}

function Rows(props: { title: string; rows: Row[]; empty: string }): JSX.Element {
  return (
    <>
      <h3>{props.title}</h3>
      {props.rows.length === 0 && <p className="at-Quiet">{props.empty}</p>}
      <table className="at-Compare-table" aria-label={props.title}>
        <tbody>
          {props.rows.map(row => (
            <tr key={row.name} className={row.cells[0] === row.cells[1] ? undefined : 'at-mod-differs'}>
              <th scope="row">{row.name}</th>
              <td>{row.cells[0]}</td>
              <td>
                {row.cells[1]} {row.extra && <span className="at-Quiet">{row.extra}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
