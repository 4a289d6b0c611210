import { IAtelier, Run, State } from '@atelier/api';
import {
  Ago,
  Duration,
  EmptyState,
  ErrorNotice,
  IconButton,
  isFinal,
  Loading,
  reasonText,
  refusal,
  RowList,
  runsIcon,
  SearchInput,
  StateBadge,
  STATES,
  stateWord,
  useMembership,
  useSignal,
  useTrans
} from '@atelier/ui';
import { HTMLSelect, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { RunsModel } from '../model/runs';

/** What a row can do. */
export interface RunsPanelProps {
  atelier: IAtelier;
  model: RunsModel;
  onOpen: (run: Run) => void;
  onCancel: (run: Run) => void;
  onAgain: (run: Run) => void;
  onCompare: (one: Run, other: Run) => void;
  onDemo: () => void;
}

// Steps alone wait or are skipped.
const RUN_STATES = STATES.filter(state => state !== 'waiting' && state !== 'skipped');

/** The runs of the project: newest first, live. */
export function RunsPanel(props: RunsPanelProps): JSX.Element {
  const { model } = props;
  const trans = useTrans();
  const [chosen, setChosen] = React.useState<readonly string[]>([]);
  useSignal(model.changed);
  React.useEffect(() => model.begin(), [model]);

  const choose = (run: Run): void =>
    setChosen(old => (old.includes(run.id) ? old.filter(id => id !== run.id) : [...old.slice(-1), run.id]));
  const pair = chosen.map(id => model.get(id)).filter(run => run !== undefined);
  return (
    <>
      <Bar model={model} />
      <Choice pair={pair} onCompare={props.onCompare} onClear={() => setChosen([])} />
      <ErrorNotice error={model.error} retry={() => model.reset()} />
      {model.empty && !model.error ? (
        <EmptyState
          icon={runsIcon}
          title={trans.__('No runs yet')}
          action={{ label: trans.__('Open the demo'), run: props.onDemo }}
        >
          {trans.__('Open a pipeline and press Run, or begin with the demo. Its runs appear here, live.')}
        </EmptyState>
      ) : (
        <RowList
          label={trans.__('Runs')}
          items={model.visible}
          idOf={run => run.id}
          nameOf={run => `${run.name}, ${stateWord(trans, run.state)}`}
          draw={run => <Row {...props} run={run} />}
          onOpen={props.onOpen}
          onChoose={choose}
          chosen={new Set(chosen)}
          onNearEnd={() => void model.more()}
          footer={<Footer model={model} />}
        />
      )}
    </>
  );
}

function Bar({ model }: { model: RunsModel }): JSX.Element {
  const trans = useTrans();
  const options = [
    { value: '', label: trans.__('All states') },
    ...RUN_STATES.map(state => ({ value: state, label: stateWord(trans, state) }))
  ];
  return (
    <div className="at-Panel-bar">
      <SearchInput label={trans.__('Filter runs')} onChange={text => model.filterText(text)} />
      <HTMLSelect
        aria-label={trans.__('State')}
        value={model.state}
        options={options}
        onChange={event => model.filterState(event.target.value as State | '')}
      />
    </div>
  );
}

function Choice(props: {
  pair: Run[];
  onCompare: (one: Run, other: Run) => void;
  onClear: () => void;
}): JSX.Element | null {
  const trans = useTrans();
  const { pair } = props;
  if (pair.length === 0) {
    return null;
  }
  return (
    <div className="at-Panel-bar" role="status">
      <span className="at-Line-grow">
        {pair.length === 1 ? trans.__('Choose another run to compare') : trans.__('2 runs chosen')}
      </span>
      <button
        type="button"
        className="jp-Button jp-mod-styled jp-mod-accept at-Button"
        disabled={pair.length < 2}
        onClick={() => props.onCompare(pair[0], pair[1])}
      >
        {trans.__('Compare')}
      </button>
      <button type="button" className="jp-Button jp-mod-styled at-Button" onClick={props.onClear}>
        {trans.__('Clear')}
      </button>
    </div>
  );
}

function Row(props: RunsPanelProps & { run: Run }): JSX.Element {
  const { run } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const act = (action: (run: Run) => void) => (event: React.MouseEvent) => {
    event.stopPropagation();
    action(run);
  };
  return (
    <div className="at-RunRow" data-run={run.id}>
      <div className="at-Line">
        <StateBadge state={run.state} compact />
        <span className="at-Line-grow at-Ellipsis" title={run.name}>
          {run.name}
        </span>
        <span className="at-RunRow-actions">
          {isFinal(run.state) ? (
            <IconButton
              icon={refreshIcon}
              label={refused || trans.__('Run again')}
              disabled={Boolean(refused)}
              onClick={act(props.onAgain)}
            />
          ) : (
            <IconButton
              icon={stopIcon}
              label={refused || trans.__('Cancel run')}
              disabled={Boolean(refused)}
              onClick={act(props.onCancel)}
            />
          )}
        </span>
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        <span>{stateWord(trans, run.state)}</span>
        <Progress run={run} />
        <Duration from={run.started_at} to={run.ended_at} />
        <span className="at-Line-grow" />
        <Ago at={run.created_at} />
      </div>
      {run.reason && (
        <div className="at-Quiet at-Small at-Ellipsis" title={run.message}>
          {reasonText(trans, run.reason)}
        </div>
      )}
    </div>
  );
}

function Progress({ run }: { run: Run }): JSX.Element | null {
  const trans = useTrans();
  const counts = Object.entries(run.steps ?? {});
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const over = counts.reduce((sum, [state, count]) => sum + (isFinal(state as State) ? count : 0), 0);
  return total ? <span>{trans.__('%1/%2 steps', over, total)}</span> : null;
}

function Footer({ model }: { model: RunsModel }): JSX.Element | null {
  const trans = useTrans();
  if (model.busy) {
    return <Loading />;
  }
  return model.visible.length === 0 && !model.error ? (
    <EmptyState title={trans.__('No run fits the filter.')} />
  ) : null;
}
