import { numberText, TextButton, useTrans } from '@atelier/ui';
import * as React from 'react';

import { TableData } from './model';

const FIRST = 100;

interface Order {
  column: number;
  down: boolean;
}

/** A table whose columns sort by a click on their names. */
export function Table(props: { table: TableData; title: string }): JSX.Element {
  const trans = useTrans();
  const { columns, hints, rows, more } = props.table;
  const [order, setOrder] = React.useState<Order | null>(null);
  const [all, setAll] = React.useState(false);
  const sorted = React.useMemo(() => (order ? sortedRows(rows, order) : rows), [rows, order]);
  const shown = all ? sorted : sorted.slice(0, FIRST);
  const turn = (column: number): void =>
    setOrder(old => ({ column, down: old?.column === column && !old.down }));
  return (
    <>
      <div className="at-Table-box" tabIndex={0} role="region" aria-label={props.title || trans.__('Table')}>
        <table className="at-Table">
          <thead>
            <tr>
              {columns.map((name, at) => (
                <th key={at} scope="col" aria-sort={sortName(order, at)}>
                  <button
                    type="button"
                    className="at-Table-sort"
                    title={hints?.[at] ? `${name}: ${hints[at]}` : name}
                    onClick={() => turn(at)}
                  >
                    {name}
                    <span aria-hidden="true">{order?.column === at ? (order.down ? ' ▾' : ' ▴') : ''}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={at}>
                {columns.map((_, column) => (
                  <TableCell key={column} cell={row[column]} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && rows.length > FIRST && (
        <TextButton label={trans.__('Show all %1 rows', rows.length)} onClick={() => setAll(true)} />
      )}
      {more && (
        <p className="at-Quiet at-Small">
          {trans.__(
            'The table goes on; these are its first %1 rows. Download the artifact for all.',
            rows.length
          )}
        </p>
      )}
    </>
  );
}

/** Long numbers are shortened; their title has all digits. */
function TableCell({ cell }: { cell: Cell }): JSX.Element {
  if (!isNumber(cell)) {
    return <td title={String(cell ?? '')}>{cell}</td>;
  }
  const whole = String(cell);
  const short = whole.length > 10 ? numberText(Number(cell)) : whole;
  return (
    <td className="at-mod-number" title={whole}>
      {short}
    </td>
  );
}

type Cell = TableData['rows'][number][number];

function sortedRows(rows: TableData['rows'], { column, down }: Order): TableData['rows'] {
  const sign = down ? -1 : 1;
  return [...rows].sort((one, other) => sign * compared(one[column], other[column]));
}

function compared(one: Cell, other: Cell): number {
  if (isNumber(one) && isNumber(other)) {
    return Number(one) - Number(other);
  }
  return String(one ?? '').localeCompare(String(other ?? ''), undefined, { numeric: true });
}

function isNumber(cell: Cell): boolean {
  return cell !== null && cell !== '' && Number.isFinite(Number(cell));
}

function sortName(order: Order | null, column: number): 'ascending' | 'descending' | 'none' {
  return order?.column !== column ? 'none' : order.down ? 'descending' : 'ascending';
}
