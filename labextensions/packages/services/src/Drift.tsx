import {
  EmptyState,
  ErrorNotice,
  Loading,
  numberText,
  TextButton,
  useLoaded,
  useNow,
  useTrans,
  useVisible
} from '@atelier/ui';
import * as React from 'react';

import { DriftChart } from './DriftChart';
import { Drift, InputDrift, Revision, ServicesClient } from './model';

const EVERY = 60_000;
/** The bar is full here: what is above is as bad. */
const WORST = 0.5;
/** So many inputs are shown at first, those that moved most. */
const FIRST = 50;

type Trans = ReturnType<typeof useTrans>;

/** How far what is asked now is from what the model was trained on; looked at again while somebody looks. */
export function DriftTab(props: {
  client: ServicesClient;
  name: string;
  current: Revision | undefined;
  onDeploy: (revision: Revision | undefined) => void;
}): JSX.Element {
  const { client, name } = props;
  const trans = useTrans();
  const box = React.useRef<HTMLDivElement>(null);
  const visible = useVisible(box);
  const turn = useNow(visible, EVERY);
  const { value, error, again } = useLoaded(() => client.drift(name), [client, name, turn]);
  return (
    <div ref={box} className="at-Pad at-Drift" tabIndex={0} role="region" aria-label={trans.__('Drift')}>
      <ErrorNotice error={error} retry={again} />
      {!value && !error && <Loading />}
      {value && value.inputs.length === 0 && (
        <EmptyState title={titleOf(trans, value)}>
          <p>{whyOf(trans, value)}</p>
          {value.state === 'sampling_off' && (
            <TextButton label={trans.__('Deploy…')} onClick={() => props.onDeploy(props.current)} />
          )}
        </EmptyState>
      )}
      {value && value.inputs.length > 0 && <Readings drift={value} />}
    </div>
  );
}

function titleOf(trans: Trans, { state }: Drift): string {
  const words: Record<string, string> = {
    no_model: trans.__('No model to compare with'),
    no_sample: trans.__('No training sample'),
    sampling_off: trans.__('No requests are kept'),
    no_requests: trans.__('No requests yet'),
    few_rows: trans.__('Too few rows')
  };
  return words[state] ?? state;
}

/** Why there is no reading; empty where there is one. */
function whyOf(trans: Trans, { state, message, rows, needed, unread, trained_rows: trained }: Drift): string {
  if (state === 'no_requests' && unread > 0) {
    return trans._n(
      '%1 request was kept, but it does not hold the columns of the training sample.',
      '%1 requests were kept, but none of them holds the columns of the training sample.',
      unread
    );
  }
  if (state === 'no_sample' && trained > 0) {
    return trans.__(
      'The training sample has %1 rows, too few to compare anything with.',
      numberText(trained)
    );
  }
  const words: Record<string, string> = {
    measured: '',
    no_model: trans.__('This revision serves an image, not a model with known inputs.'),
    no_sample: trans.__(
      'The model has no %1 beside it. The trainers among the templates leave one.',
      'training_sample.csv'
    ),
    sampling_off: trans.__(
      'Deploy the service with a percentage of requests to keep, under Advanced. What is sent may be personal data; it is kept for at most seven days.'
    ),
    no_requests: trans.__('The gateway has kept no request to this revision in the last days.'),
    few_rows: trans.__(
      '%1 rows were kept so far. A reading takes %2, or chance would look like drift.',
      numberText(rows),
      numberText(needed ?? 0)
    )
  };
  return words[state] ?? message;
}

function Readings({ drift }: { drift: Drift }): JSX.Element {
  const trans = useTrans();
  const why = whyOf(trans, drift);
  const [all, setAll] = React.useState(false);
  const ranked = [...drift.inputs].sort((a, b) => (b.psi ?? 0) - (a.psi ?? 0));
  const shown = all ? ranked : ranked.slice(0, FIRST);
  return (
    <>
      {why && (
        <p className="at-Why" role="status">
          {why}
        </p>
      )}
      <p className="at-Quiet">{summaryOf(trans, drift)}</p>
      <div className="at-Drift-legend at-Quiet" aria-hidden="true">
        <span className="at-Drift-key at-mod-trained" /> {trans.__('Training sample')}
        <span className="at-Drift-key at-mod-seen" /> {trans.__('Requests')}
      </div>
      <table className="at-Grid at-Drift-table">
        <thead>
          <tr>
            <th scope="col">{trans.__('Input')}</th>
            <th scope="col">{trans.__('PSI')}</th>
            <th scope="col">{trans.__('Reading')}</th>
            <th scope="col">{trans.__('How its values are spread')}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(one => (
            <Row key={one.name} input={one} />
          ))}
        </tbody>
      </table>
      {shown.length < ranked.length && (
        <div>
          <TextButton label={trans.__('Show all %1 inputs', ranked.length)} onClick={() => setAll(true)} />
        </div>
      )}
      <p className="at-Quiet">
        {trans.__('PSI, the population stability index: below 0.1 stable, above 0.25 a major shift.')}
      </p>
    </>
  );
}

function summaryOf(trans: Trans, drift: Drift): string {
  const words = [
    trans.__('Revision %1', drift.revision),
    trans._n('%2 rows of %1 request', '%2 rows of %1 requests', drift.requests, numberText(drift.rows)),
    trans.__('%1 rows of the training sample', numberText(drift.trained_rows)),
    trans.__('%1 % of the requests are kept', numberText(drift.sample * 100))
  ];
  if (drift.since) {
    words.splice(2, 0, trans.__('since %1', new Date(drift.since).toLocaleString()));
  }
  if (drift.unread > 0) {
    words.push(
      trans._n('%1 request could not be compared', '%1 requests could not be compared', drift.unread)
    );
  }
  return words.join(' · ');
}

function Row({ input }: { input: InputDrift }): JSX.Element {
  const trans = useTrans();
  const share = Math.min((input.psi ?? 0) / WORST, 1);
  return (
    <tr className={`at-mod-${input.level}`}>
      <th scope="row" className="at-Ellipsis" title={input.name}>
        {input.name}
      </th>
      <td>
        <span className="at-Drift-psi">{input.psi === null ? '–' : input.psi.toFixed(3)}</span>
        <span className="at-Drift-bar" aria-hidden="true">
          <span style={{ width: `${100 * share}%` }} />
        </span>
      </td>
      <td className="at-Drift-level">{levelText(trans, input.level)}</td>
      <td>
        <DriftChart input={input} />
      </td>
    </tr>
  );
}

function levelText(trans: Trans, level: InputDrift['level']): string {
  return {
    stable: trans.__('Stable'),
    moderate: trans.__('Moderate shift'),
    major: trans.__('Major shift'),
    unknown: trans.__('Not known yet')
  }[level];
}
