import { Run } from '@atelier/api';
import { EmptyState, useTrans, valueText } from '@atelier/ui';
import * as React from 'react';

/** What a run was started with. */
export function Parameters({ run }: { run: Run }): JSX.Element {
  const trans = useTrans();
  const entries = Object.entries(run.parameters);
  if (entries.length === 0) {
    return (
      <EmptyState title={trans.__('No parameters')}>
        {trans.__('The run used the values that stand in its pipeline.')}
      </EmptyState>
    );
  }
  return <Facts entries={entries.map(([name, value]) => [name, valueText(value)])} />;
}

/** Names and values, one pair a row. */
export function Facts({ entries }: { entries: [string, React.ReactNode][] }): JSX.Element {
  return (
    <table className="at-Facts">
      <tbody>
        {entries.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
