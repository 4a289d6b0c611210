import { IAtelier, Run, Step, StepUsage } from '@atelier/api';
import {
  Ago,
  Duration,
  ErrorNotice,
  isFinal,
  Loading,
  reasonText,
  refusal,
  RowList,
  StateBadge,
  stateWord,
  Tabs,
  TextButton,
  useMembership,
  UsageTag,
  usageText,
  useSignal,
  useTrans,
  useWatched
} from '@atelier/ui';
import * as React from 'react';

import { LogView } from '../log/LogView';
import { RunModel } from '../model/run';
import { ResultsView } from '../results/ResultsView';
import { Attempts } from './Attempts';
import { Outputs } from './Outputs';
import { Parameters } from './Parameters';

/** What a run's page can do. */
export interface RunViewProps {
  atelier: IAtelier;
  model: RunModel;
  onCancel: (run: Run) => void;
  onAgain: (run: Run) => void;
  onPipeline: (run: Run) => void;
  onCompare: (run: Run) => void;
}

/** One run: its steps, and of the chosen one everything there is. */
export function RunView(props: RunViewProps): JSX.Element {
  const { model } = props;
  useSignal(model.changed);
  const { run } = model;
  if (!run) {
    return model.error ? <ErrorNotice error={model.error} retry={() => void model.load()} /> : <Loading />;
  }
  return (
    <>
      <Header {...props} run={run} />
      <ErrorNotice error={model.error} retry={() => void model.load()} />
      <Body {...props} run={run} />
    </>
  );
}

function Body(props: RunViewProps & { run: Run }): JSX.Element {
  const { model, run } = props;
  const trans = useTrans();
  const [picked, setPicked] = React.useState('');
  const box = React.useRef<HTMLDivElement>(null);
  const usage = useWatched(box, !isFinal(run.state), () => model.usage(), [model]);
  const { steps } = model;
  const step = model.step(picked) ?? interesting(steps);
  return (
    <div ref={box} className="at-Run-body">
      <div className="at-Run-steps">
        <RowList
          label={trans.__('Steps')}
          items={steps}
          idOf={one => one.name}
          nameOf={one => `${one.label}, ${stateWord(trans, one.state)}`}
          draw={one => <StepRow step={one} usage={usage?.get(one.name)} />}
          onOpen={one => setPicked(one.name)}
          chosen={new Set(step ? [step.name] : [])}
        />
      </div>
      {step ? <StepDetails {...props} step={step} usage={usage?.get(step.name)} /> : <Parameters run={run} />}
    </div>
  );
}

/** What somebody who opens a run wants to see first: what went wrong, else what goes on, else the end. */
function interesting(steps: readonly Step[]): Step | undefined {
  const failed = steps.find(step => step.state === 'failed');
  const busy = steps.find(step => !isFinal(step.state) && step.state !== 'waiting');
  return failed ?? busy ?? steps[steps.length - 1];
}

function Header(props: RunViewProps & { run: Run }): JSX.Element {
  const { run, model } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const limits = { disabled: Boolean(refused), title: refused };
  return (
    <header className="at-Run-header">
      <div className="at-Line at-Run-title">
        <StateBadge state={run.state} />
        <h2 className="at-Title at-Ellipsis" title={run.name}>
          {run.name}
        </h2>
        <span className="at-Line-grow" />
        {isFinal(run.state) ? (
          <TextButton label={trans.__('Run again')} accept {...limits} onClick={() => props.onAgain(run)} />
        ) : (
          <TextButton label={trans.__('Cancel run')} warn {...limits} onClick={() => props.onCancel(run)} />
        )}
        <TextButton label={trans.__('Compare…')} onClick={() => props.onCompare(run)} />
        <TextButton
          label={trans.__('Open pipeline')}
          title={model.path}
          onClick={() => props.onPipeline(run)}
        />
      </div>
      <div className="at-Run-facts at-Quiet">
        <span>{trans.__('Run %1', run.id)}</span>
        <span>{trans.__('by %1', run.created_by)}</span>
        <span>{trans.__('on %1', run.on)}</span>
        <Ago at={run.created_at} />
        <Duration from={run.started_at} to={run.ended_at} />
      </div>
      <Why reason={run.reason} message={run.message} />
    </header>
  );
}

/** The reason of a state and what is said about it. */
export function Why(props: { reason: string; message: string }): JSX.Element | null {
  const trans = useTrans();
  if (!props.reason && !props.message) {
    return null;
  }
  return (
    <p className="at-Why">
      {props.reason && <strong>{reasonText(trans, props.reason)}</strong>}
      {props.reason && props.message && ': '}
      {props.message}
    </p>
  );
}

function StepRow({ step, usage }: { step: Step; usage?: StepUsage }): JSX.Element {
  const trans = useTrans();
  return (
    <>
      <div className="at-Line">
        <StateBadge state={step.state} compact />
        <span className="at-Line-grow at-Ellipsis" title={step.label}>
          {step.label}
        </span>
        <span className="at-Quiet at-Small">
          <Duration from={step.started_at} to={step.ended_at} />
        </span>
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        <span>{stateWord(trans, step.state)}</span>
        {step.attempt > 1 && <span>{trans.__('Attempt %1', step.attempt)}</span>}
        {step.state === 'running' && <UsageTag usage={usage} />}
        {step.reason && (
          <span className="at-Ellipsis" title={step.message}>
            {reasonText(trans, step.reason)}
          </span>
        )}
      </div>
    </>
  );
}

function StepDetails(props: RunViewProps & { run: Run; step: Step; usage?: StepUsage }): JSX.Element {
  const { atelier, model, run, step, usage } = props;
  const trans = useTrans();
  const [tab, setTab] = React.useState('log');
  const [attempt, setAttempt] = React.useState<number | undefined>(undefined);
  React.useEffect(() => setAttempt(undefined), [step.name]);
  const of = { atelier, project: run.project, run: run.id, step: step.name };
  const tabs = [
    { id: 'log', label: trans.__('Log') },
    { id: 'results', label: trans.__('Results') },
    { id: 'outputs', label: trans.__('Outputs') },
    { id: 'attempts', label: trans.__('Attempts') },
    { id: 'parameters', label: trans.__('Parameters') }
  ];
  const chosen = attempt ?? (step.attempt || undefined);
  const showLog = (number: number): void => {
    setAttempt(number);
    setTab('log');
  };
  return (
    <div className="at-Run-step">
      <Why reason={step.reason} message={step.message} />
      {usage && step.state === 'running' && (
        <p className="at-Run-usage at-Quiet at-Small">{usageText(trans, usage)}</p>
      )}
      <Tabs label={step.label} tabs={tabs} current={tab} onChange={setTab}>
        {tab === 'log' && <LogView {...of} attempt={chosen} />}
        {tab === 'results' && <ResultsView {...of} attempt={step.attempt} />}
        {tab === 'outputs' && <Outputs model={model} step={step} />}
        {tab === 'attempts' && <Attempts {...of} model={model} onLog={showLog} />}
        {tab === 'parameters' && <Parameters run={run} />}
      </Tabs>
    </div>
  );
}
