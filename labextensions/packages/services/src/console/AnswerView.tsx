import { Table } from '@atelier/runs';
import { durationText, numberText, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Answer } from '../model';
import { answerTable } from './tensors';

/** What came back: as a label where it is one, as a table where it is one, and as it is. */
export function AnswerView({ answer }: { answer: Answer }): JSX.Element {
  const trans = useTrans();
  const good = answer.status < 400;
  const table = React.useMemo(() => (good ? answerTable(answer.body) : null), [answer]);
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body, null, 1);
  return (
    <section className="at-Answer" aria-label={trans.__('Answer')}>
      <div className="at-Line">
        <h3 className="at-Result-title">{trans.__('Answer')}</h3>
        <span className={`at-Tag ${good ? 'at-mod-good' : 'at-mod-bad'}`}>{answer.status}</span>
        <span className="at-Quiet">{tookText(trans, answer.seconds)}</span>
      </div>
      {table && table.rows.length === 1 && <Label table={table} />}
      {table && table.rows.length > 0 && (
        <Table title={trans.__('Answer')} table={{ ...table, more: false }} />
      )}
      <details open={!table}>
        <summary>{trans.__('As it came')}</summary>
        <pre className="at-Result-text" tabIndex={0}>
          {text}
        </pre>
      </details>
    </section>
  );
}

/** The first output of the one row, and how sure the model is: what people want to know. */
function Label({ table }: { table: NonNullable<ReturnType<typeof answerTable>> }): JSX.Element {
  const trans = useTrans();
  const [value] = table.rows[0];
  const sure = certainty(table.rows[0].slice(1));
  return (
    <p className="at-Answer-label">
      {table.columns[0]}: <strong>{typeof value === 'number' ? numberText(value) : value}</strong>
      {sure !== null && (
        <span className="at-Quiet"> {trans.__('with %1 % certainty', (100 * sure).toFixed(1))}</span>
      )}
    </p>
  );
}

/** The largest of some probabilities; nothing if they are none. */
function certainty(values: (string | number | null)[]): number | null {
  const numbers = values.filter((one): one is number => typeof one === 'number' && one >= 0);
  const sum = numbers.reduce((total, one) => total + one, 0);
  return numbers.length > 1 && numbers.length === values.length && Math.abs(sum - 1) < 1e-3
    ? Math.max(...numbers)
    : null;
}

function tookText(trans: ReturnType<typeof useTrans>, seconds: number): string {
  return seconds < 1 ? trans.__('%1 ms', (seconds * 1000).toFixed(1)) : durationText(trans, seconds * 1000);
}
