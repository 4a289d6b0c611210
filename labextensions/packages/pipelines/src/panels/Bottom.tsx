import { Problem } from '@atelier/api';
import { LogView, ResultsView } from '@atelier/runs';
import { EmptyState, ErrorNotice, IconButton, reasonText, TextButton } from '@atelier/ui';
import { closeIcon, notebookIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { useStep } from '../canvas/useStep';
import { genericKind, nameOf } from '../document/step';
import { useSignalValue } from '../model/react';
import { BottomTab } from '../model/view';
import { usePanel } from './services';

const OPEN_NOTEBOOK = 'atelier:open-step-notebook'; // a command of the runs

/** What is below the canvas: problems, and the log and the results of the selected step. */
export function Bottom(): React.JSX.Element | null {
  const { view, trans } = usePanel();
  const tab = useSignalValue(view.changed, () => view.bottomTab);
  const count = useSignalValue(view.changed, () => view.problems.length);
  if (!tab) {
    return null;
  }
  const tabs: [BottomTab, string][] = [
    ['problems', count ? trans.__('Problems (%1)', count) : trans.__('Problems')],
    ['log', trans.__('Log')],
    ['results', trans.__('Results')]
  ];
  return (
    <div className="at-Bottom">
      <div className="at-Bottom-bar">
        <div className="at-Bottom-tabs" role="tablist">
          {tabs.map(([name, label]) => (
            <button
              key={name}
              role="tab"
              aria-selected={tab === name}
              className="at-Bottom-tab"
              onClick={() => (view.bottomTab = name)}
            >
              {label}
            </button>
          ))}
        </div>
        <SelectedStep />
        <ExecutedNotebook />
        <IconButton icon={closeIcon} label={trans.__('Close')} onClick={() => (view.bottomTab = null)} />
      </div>
      <div className="at-Bottom-body" role="tabpanel">
        {tab === 'problems' ? <Problems /> : <OfStep tab={tab} />}
      </div>
    </div>
  );
}

function SelectedStep(): React.JSX.Element {
  const { view } = usePanel();
  const id = useSignalValue(view.changed, () => view.current);
  const node = id ? view.document.node(id) : undefined;
  return <span className="at-Bottom-step">{node && nameOf(node)}</span>;
}

/** Opens what a notebook step has left. */
function ExecutedNotebook(): React.JSX.Element | null {
  const { view, trans, commands } = usePanel();
  const id = useSignalValue(view.changed, () => view.current) ?? '';
  const run = useSignalValue(view.changed, () => view.live?.run ?? null);
  const step = useStep(view, id);
  const node = view.document.node(id);
  if (!run || step?.state !== 'done' || !node || genericKind(node) !== 'notebook') {
    return null;
  }
  return (
    <TextButton
      icon={notebookIcon}
      label={trans.__('Open the notebook')}
      onClick={() =>
        void commands.execute(OPEN_NOTEBOOK, { project: run.project, run: run.id, step: step.name })
      }
    />
  );
}

function Problems(): React.JSX.Element {
  const { view, trans } = usePanel();
  const problems = useSignalValue(view.changed, () => view.problems);
  const error = useSignalValue(view.changed, () => view.checkError);
  if (error) {
    return <ErrorNotice error={error} retry={() => void view.check()} />;
  }
  if (!problems.length) {
    return <EmptyState title={trans.__('No problems: it can run.')} />;
  }
  return (
    <ul className="at-Problems">
      {problems.map((problem, index) => (
        <li key={index}>
          <ProblemRow problem={problem} />
        </li>
      ))}
    </ul>
  );
}

function ProblemRow(props: { problem: Problem }): React.JSX.Element {
  const { view, trans } = usePanel();
  const { problem } = props;
  return (
    <button
      className="at-Problems-row"
      onClick={() => view.goTo({ node: problem.node, field: problem.field })}
    >
      <span className="at-Problems-message">{problem.message}</span>
      {problem.hint && <span className="at-Problems-hint">{trans.gettext(problem.hint)}</span>}
    </button>
  );
}

function OfStep(props: { tab: 'log' | 'results' }): React.JSX.Element {
  const { view, trans } = usePanel();
  const id = useSignalValue(view.changed, () => view.current) ?? '';
  const run = useSignalValue(view.changed, () => view.live?.run ?? null);
  const step = useStep(view, id);
  if (!run) {
    return <EmptyState title={trans.__('Nothing has run yet.')}>{trans.__('Press Run above.')}</EmptyState>;
  }
  if (!id) {
    return <EmptyState title={trans.__('Select one step to see what it says.')} />;
  }
  if (!step) {
    return <EmptyState title={trans.__('This step was not part of the run that is shown.')} />;
  }
  const shared = { atelier: view.atelier, project: run.project, run: run.id, step: step.name, trans };
  const key = `${run.id} ${step.name} ${step.attempt}`;
  if (props.tab === 'results') {
    return <ResultsView key={key} {...shared} />;
  }
  return step.attempt > 0 ? (
    <LogView key={key} {...shared} />
  ) : (
    <EmptyState title={trans.__('The step has not started yet.')}>
      {step.message || reasonText(trans, step.reason)}
    </EmptyState>
  );
}
