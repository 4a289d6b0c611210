import { IAtelier } from '@atelier/api';
import { ErrorNotice, IconButton, useSignal, useTrans, WithTrans } from '@atelier/ui';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretUpIcon, downloadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { LogModel } from './model';
import { Rows } from './Rows';

/** Which step's log to show; without an attempt, the last one's. With a `service`, that of its `replica`. */
export interface LogViewProps {
  atelier: IAtelier;
  project: string;
  run: string;
  step: string;
  service?: string;
  attempt?: number;
  replica?: string;
  trans?: TranslationBundle;
}

/** A step's log, live: follows its end, searches, shows colours, and stays quick however long it is. */
export function LogView(props: LogViewProps): JSX.Element {
  return (
    <WithTrans trans={props.trans}>
      <Log {...props} />
    </WithTrans>
  );
}

function Log(props: LogViewProps): JSX.Element {
  const trans = useTrans();
  const [model, reload] = useLog(props);
  const [follow, setFollow] = React.useState(true);
  const [match, setMatch] = React.useState(-1);
  useSignal(model?.changed);

  const matches = model?.matches ?? [];
  const go = (to: number): void => {
    if (matches.length) {
      setFollow(false);
      setMatch((to + matches.length) % matches.length);
    }
  };
  const search = (text: string): void => {
    setMatch(-1);
    model?.search(text);
  };
  return (
    <div className="at-Log">
      <div className="at-Log-bar" role="toolbar" aria-label={trans.__('Log')}>
        <Search model={model} match={match} onSearch={search} onGo={go} />
        <span className="at-Line-grow" />
        <label className="at-Log-follow">
          <input type="checkbox" checked={follow} onChange={event => setFollow(event.target.checked)} />
          {trans.__('Follow')}
        </label>
        <a
          className="at-IconLink"
          href={logUrl(props)}
          download={`${props.service ? props.replica : `${props.run}-${props.step}`}.log`}
          title={trans.__('Download the whole log')}
          aria-label={trans.__('Download the whole log')}
        >
          <downloadIcon.react tag="span" aria-hidden="true" />
        </a>
      </div>
      <ErrorNotice error={model?.error} retry={reload} />
      {model && (
        <Rows
          model={model}
          follow={follow}
          onFollow={setFollow}
          shown={match >= 0 ? matches[match] : -1}
          label={trans.__('Log of %1', props.service ?? props.step)}
        />
      )}
    </div>
  );
}

function Search(props: {
  model: LogModel | null;
  match: number;
  onSearch: (text: string) => void;
  onGo: (to: number) => void;
}): JSX.Element {
  const trans = useTrans();
  const { model, match, onGo } = props;
  const found = model?.matches.length ?? 0;
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.key === 'Enter') {
      event.preventDefault();
      onGo(event.shiftKey ? match - 1 : match + 1);
    }
  };
  return (
    <>
      <input
        type="search"
        className="at-Input at-Log-search"
        placeholder={trans.__('Search the log')}
        aria-label={trans.__('Search the log')}
        onChange={event => props.onSearch(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {model?.query && (
        <span className="at-Log-found at-Quiet" role="status">
          {match >= 0 ? trans.__('%1 of %2', match + 1, found) : trans._n('%1 line', '%1 lines', found)}
        </span>
      )}
      <IconButton
        icon={caretUpIcon}
        label={trans.__('Previous match')}
        disabled={!found}
        onClick={() => onGo(Math.max(match, 0) - 1)}
      />
      <IconButton
        icon={caretDownIcon}
        label={trans.__('Next match')}
        disabled={!found}
        onClick={() => onGo(match + 1)}
      />
    </>
  );
}

function useLog(props: LogViewProps): [LogModel | null, () => void] {
  const { atelier, project, run, step, service, attempt, replica } = props;
  const [model, setModel] = React.useState<LogModel | null>(null);
  const [turn, setTurn] = React.useState(0);
  React.useEffect(() => {
    const of = { project, run, step, service, attempt: attempt ?? null, replica: replica ?? 'main-0' };
    const next = new LogModel(atelier, of);
    setModel(next);
    return () => next.dispose();
  }, [atelier, project, run, step, service, attempt, replica, turn]);
  return [model, () => setTurn(turn + 1)];
}

function logUrl({ project, run, step, service, attempt, replica }: LogViewProps): string {
  if (service) {
    const parts = ['projects', project, 'services', service, 'replicas', replica ?? '', 'logs'];
    return URLExt.join(PageConfig.getBaseUrl(), 'atelier/api', parts.map(encodeURIComponent).join('/'));
  }
  const path = ['projects', project, 'runs', run, 'steps', step, 'logs'].map(encodeURIComponent).join('/');
  const query = URLExt.objectToQueryString({
    replica: replica ?? 'main-0',
    ...(attempt === undefined ? {} : { attempt })
  });
  return URLExt.join(PageConfig.getBaseUrl(), 'atelier/api', path) + query;
}
