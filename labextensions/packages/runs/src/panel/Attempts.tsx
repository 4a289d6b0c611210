import { Attempt, IAtelier, unwrap } from '@atelier/api';
import {
  Ago,
  Duration,
  EmptyState,
  ErrorNotice,
  Loading,
  StateBadge,
  TextButton,
  useLoaded,
  useTrans,
  valueText
} from '@atelier/ui';
import * as React from 'react';

import { RunModel } from '../model/run';
import { Facts } from './Parameters';
import { Why } from './RunView';

/** Every try at a step: how it ended, where, with which values. */
export function Attempts(props: {
  atelier: IAtelier;
  model: RunModel;
  project: string;
  run: string;
  step: string;
  onLog: (attempt: number) => void;
}): JSX.Element {
  const { project, run, step } = props;
  const trans = useTrans();
  const path = { project, run, step };
  const now = props.model.step(step);
  const { value, error, again } = useLoaded(async () => {
    const answer = props.atelier.rest.GET('/projects/{project}/runs/{run}/steps/{step}/attempts', {
      params: { path }
    });
    return (await unwrap(answer)).items;
  }, [project, run, step, now?.attempt, now?.state]);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  if (value.length === 0) {
    return (
      <EmptyState title={trans.__('Not tried yet')}>
        {trans.__('The step waits for what it needs.')}
      </EmptyState>
    );
  }
  return (
    <div className="at-Attempts">
      {[...value].reverse().map(attempt => (
        <OneAttempt key={attempt.id} attempt={attempt} onLog={() => props.onLog(attempt.number)} />
      ))}
    </div>
  );
}

function OneAttempt({ attempt, onLog }: { attempt: Attempt; onLog: () => void }): JSX.Element {
  const trans = useTrans();
  const values = Object.entries(attempt.values ?? {}).map(([name, value]): [string, string] => [
    name,
    valueText(value)
  ]);
  return (
    <section className="at-Attempt" aria-label={trans.__('Attempt %1', attempt.number)}>
      <div className="at-Line">
        <h3 className="at-Attempt-title">{trans.__('Attempt %1', attempt.number)}</h3>
        <StateBadge state={attempt.state} />
        <Duration from={attempt.started_at} to={attempt.ended_at} />
        <span className="at-Quiet">
          <Ago at={attempt.created_at} />
        </span>
        <span className="at-Quiet">{trans.__('on %1', attempt.backend)}</span>
        {attempt.exit_code !== null && (
          <span className="at-Quiet">{trans.__('exit code %1', attempt.exit_code)}</span>
        )}
        <span className="at-Line-grow" />
        <TextButton label={trans.__('Show log')} onClick={onLog} />
      </div>
      <Why reason={attempt.reason} message={attempt.message} />
      {values.length > 0 && <Facts entries={values} />}
    </section>
  );
}
