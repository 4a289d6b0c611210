import { IAtelier, ResultView, Run } from '@atelier/api';
import {
  Ago,
  durationText,
  ErrorNotice,
  Loading,
  numberText,
  StateBadge,
  useLoaded,
  useSignal,
  useTrans,
  valueText
} from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { RunModel } from '../model/run';
import { allMetrics } from '../results/model';
import { loadResults, ResultsView } from '../results/ResultsView';

type Pair<T> = [T, T];

/** Two runs side by side; what differs stands out. */
export function CompareView(props: { atelier: IAtelier; models: Pair<RunModel> }): JSX.Element {
  const { atelier, models } = props;
  const trans = useTrans();
  useSignal(models[0].changed);
  useSignal(models[1].changed);
  const [one, other] = [models[0].run, models[1].run];
  const broken = models.find(model => model.error && !model.run);
  if (broken) {
    return <ErrorNotice error={broken.error} retry={() => void broken.load()} />;
  }
  if (!one || !other) {
    return <Loading />;
  }
  const runs: Pair<Run> = [one, other];
  return (
    <div className="at-Compare" tabIndex={0} role="region" aria-label={trans.__('Two runs side by side')}>
      <Rows title={trans.__('Runs')} rows={facts(trans, runs, models)} heads={runs.map(headOf)} />
      <Rows
        title={trans.__('Parameters')}
        rows={parameters(runs)}
        empty={trans.__('Both ran without parameters.')}
      />
      <Metrics atelier={atelier} models={models} />
      <Rows title={trans.__('Steps')} rows={durations(trans, models)} />
      <Results atelier={atelier} models={models} />
    </div>
  );
}

interface Row {
  name: string;
  cells: Pair<React.ReactNode>;
  differs: boolean;
  extra?: string;
}

function Rows(props: { title: string; rows: Row[]; heads?: React.ReactNode[]; empty?: string }): JSX.Element {
  const { title, rows, heads } = props;
  return (
    <>
      <h3>{title}</h3>
      {rows.length === 0 && <p className="at-Quiet">{props.empty ?? '–'}</p>}
      <table className="at-Compare-table" aria-label={title}>
        {heads && (
          <thead>
            <tr>
              <td />
              {heads.map((head, at) => (
                <th key={at} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {rows.map(row => (
            <tr key={row.name} className={row.differs ? 'at-mod-differs' : undefined}>
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

function headOf(run: Run): React.ReactNode {
  return (
    <>
      <strong>{run.name}</strong> <span className="at-Quiet">{run.id}</span>
    </>
  );
}

function textRow(name: string, cells: Pair<string>): Row {
  return { name, cells: [cells[0] || '–', cells[1] || '–'], differs: cells[0] !== cells[1] };
}

function facts(trans: TranslationBundle, runs: Pair<Run>, models: Pair<RunModel>): Row[] {
  const [one, other] = runs;
  const badge = (run: Run): JSX.Element => <StateBadge state={run.state} />;
  const took = (run: Run): string => spanText(trans, run.started_at, run.ended_at);
  return [
    { name: trans.__('State'), cells: [badge(one), badge(other)], differs: one.state !== other.state },
    {
      name: trans.__('Created'),
      cells: [<Ago key="one" at={one.created_at} />, <Ago key="other" at={other.created_at} />],
      differs: false
    },
    { ...textRow(trans.__('Duration'), [took(one), took(other)]), differs: false },
    textRow(trans.__('Back end'), [one.on, other.on]),
    textRow(trans.__('Pipeline'), [models[0].path, models[1].path]),
    textRow(trans.__('Revision'), [one.revision, other.revision])
  ];
}

function parameters([one, other]: Pair<Run>): Row[] {
  const names = union(Object.keys(one.parameters), Object.keys(other.parameters));
  const read = (run: Run, name: string): string =>
    name in run.parameters ? valueText(run.parameters[name]) : '';
  return names.map(name => textRow(name, [read(one, name), read(other, name)]));
}

function durations(trans: TranslationBundle, models: Pair<RunModel>): Row[] {
  const names = union(...(models.map(model => model.steps.map(step => step.name)) as Pair<string[]>));
  return names.map(name => {
    const steps = models.map(model => model.step(name));
    const cells = steps.map((step, at) =>
      step ? (
        <span className="at-Line" key={at}>
          <StateBadge state={step.state} /> {spanText(trans, step.started_at, step.ended_at)}
        </span>
      ) : (
        '–'
      )
    ) as Pair<React.ReactNode>;
    return {
      name: steps[0]?.label ?? steps[1]?.label ?? name,
      cells,
      differs: steps[0]?.state !== steps[1]?.state
    };
  });
}

function Metrics(props: { atelier: IAtelier; models: Pair<RunModel> }): JSX.Element {
  const trans = useTrans();
  const { atelier, models } = props;
  const shown = models.map(stepsWithResults) as Pair<string[]>;
  const { value, error, again } = useLoaded(
    () => Promise.all(models.map((model, at) => metricsOfRun(atelier, model, shown[at]))),
    [models, shown.flat().join()]
  );
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const [one, other] = value;
  const rows = union([...one.keys()], [...other.keys()]).map(name =>
    metricRow(name, one.get(name), other.get(name))
  );
  return <Rows title={trans.__('Metrics')} rows={rows} empty={trans.__('Neither run shows metrics.')} />;
}

function metricRow(name: string, one: number | undefined, other: number | undefined): Row {
  const text = (value: number | undefined): string => (value === undefined ? '' : numberText(value));
  const difference = one !== undefined && other !== undefined ? other - one : 0;
  const extra = difference ? `(${difference > 0 ? '+' : ''}${numberText(difference)})` : undefined;
  return { ...textRow(name, [text(one), text(other)]), extra };
}

/** All metrics of a run as `step · metric`. */
async function metricsOfRun(
  atelier: IAtelier,
  model: RunModel,
  steps: string[]
): Promise<Map<string, number>> {
  const load = async (step: string): Promise<[string, number][]> => {
    const views: ResultView[] = await loadResults(atelier, model.project, model.id, step);
    const label = model.step(step)?.label ?? step;
    return [...allMetrics(views)].map(([name, value]) => [`${label} · ${name}`, value]);
  };
  return new Map((await Promise.all(steps.map(load))).flat());
}

function Results(props: { atelier: IAtelier; models: Pair<RunModel> }): JSX.Element | null {
  const trans = useTrans();
  const { atelier, models } = props;
  const names = union(stepsWithResults(models[0]), stepsWithResults(models[1]));
  const [picked, setPicked] = React.useState('');
  const step = names.includes(picked) ? picked : names[names.length - 1];
  if (!step) {
    return null;
  }
  const options = names.map(name => ({
    value: name,
    label: models[0].step(name)?.label ?? models[1].step(name)?.label ?? name
  }));
  return (
    <>
      <div className="at-Line">
        <h3>{trans.__('Results')}</h3>
        <HTMLSelect
          aria-label={trans.__('Step')}
          value={step}
          options={options}
          onChange={event => setPicked(event.target.value)}
        />
      </div>
      <div className="at-Compare-sides">
        {models.map(model => (
          <div key={model.id}>
            {model.step(step) ? (
              <ResultsView atelier={atelier} project={model.project} run={model.id} step={step} />
            ) : (
              <p className="at-Quiet">{trans.__('This run has no such step.')}</p>
            )}
          </div>
        ))}
      </div>
    </>
  );
}

/** Only steps that stored results are asked for them. */
function stepsWithResults(model: RunModel): string[] {
  const names = new Set(model.artifacts.filter(one => one.name === 'results').map(one => one.step));
  return model.steps.map(step => step.name).filter(name => names.has(name));
}

function union(one: string[], other: string[]): string[] {
  return [...new Set([...one, ...other])];
}

function spanText(trans: TranslationBundle, from: string | null, to: string | null): string {
  return from && to ? durationText(trans, Date.parse(to) - Date.parse(from)) : '';
}
