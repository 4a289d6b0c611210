import { CopyText } from '@atelier/models';
import { EmptyState, ErrorNotice, Loading, TextButton, useLoaded, useTrans } from '@atelier/ui';
import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Answer } from '../model';
import { fullUrl, Parts, ServiceViewProps } from '../ServiceView';
import { AnswerView } from './AnswerView';
import { InputForm } from './InputForm';
import { curl, python } from './snippets';
import { BadValue, Metadata, metadataOf } from './tensors';

/** What is to be asked, ready to be sent; `text` is a body as JSON. */
export interface Ask {
  method: 'GET' | 'POST';
  path: string;
  text: string;
}

/** Ask the service something: by a form made of what the model says of itself, or by JSON. */
export function Console(props: ServiceViewProps & Parts): JSX.Element {
  const { service, client } = props;
  const trans = useTrans();
  const [revision, setRevision] = React.useState<number | undefined>(() => firstRevision(props));
  const answers = service.state === 'running' && service.traffic.some(one => one.ready > 0);
  const { value, error, again } = useLoaded(
    () => loadMetadata(props, answers, revision),
    [client, service.name, service.version, answers, revision]
  );
  if (!answers && !service.sleeping) {
    return (
      <EmptyState title={trans.__('Nothing answers yet')}>
        {trans.__('Once a replica answers, requests can be sent from here.')}
      </EmptyState>
    );
  }
  if (value === undefined) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <div className="at-Console">
      {service.traffic.length > 1 || revision ? (
        <Which {...props} revision={revision} onChange={setRevision} />
      ) : null}
      <Request key={`${service.id} ${revision}`} {...props} metadata={value} revision={revision} />
    </div>
  );
}

/** A service without a revision in production is reached by a header only. */
function firstRevision({ service }: Parts): number | undefined {
  const production = service.traffic.some(one => one.stage === 'production');
  return production ? undefined : service.traffic[0]?.revision;
}

async function loadMetadata(
  { service, client }: ServiceViewProps & Parts,
  answers: boolean,
  revision: number | undefined
): Promise<Metadata | null> {
  if (!service.model_url || !(answers || service.sleeping)) {
    return null;
  }
  const path = modelPath(service);
  const answer = await client.ask(service.name, { method: 'GET', path, revision });
  return answer.status === 200 ? metadataOf(answer.body) : null;
}

function modelPath({ url, model_url }: Parts['service']): string {
  return model_url.slice(url.length + 1);
}

function Which(
  props: Parts & { revision: number | undefined; onChange: (revision: number | undefined) => void }
): JSX.Element {
  const trans = useTrans();
  return (
    <label className="at-Line">
      {trans.__('Ask')}
      <HTMLSelect
        value={props.revision ?? ''}
        onChange={event => props.onChange(Number(event.target.value) || undefined)}
      >
        <option value="">{trans.__('whatever the traffic says')}</option>
        {props.service.traffic.map(one => (
          <option key={one.revision} value={one.revision}>
            {trans.__('Revision %1', one.revision)}
          </option>
        ))}
      </HTMLSelect>
    </label>
  );
}

type RequestProps = ServiceViewProps & Parts & { metadata: Metadata | null; revision: number | undefined };

function Request(props: RequestProps): JSX.Element {
  const { metadata, client, service, revision } = props;
  const trans = useTrans();
  const [mode, setMode] = React.useState<'form' | 'json'>(metadata ? 'form' : 'json');
  const [ask, setAsk] = React.useState<Ask>(() => firstAsk(props));
  const [made, setMade] = React.useState<{ make: () => unknown } | null>(null);
  const [answer, setAnswer] = React.useState<Answer | null>(null);
  const [error, setError] = React.useState<unknown>(null);
  const [busy, setBusy] = React.useState(false);
  const current = (): Ask =>
    mode === 'form' && made ? { ...ask, text: JSON.stringify(made.make(), null, 1) } : ask;
  const send = async (): Promise<void> => {
    setBusy(true);
    try {
      const { method, path, text } = current();
      const body: unknown = method === 'POST' ? JSON.parse(text) : undefined;
      setAnswer(await client.ask(service.name, { method, path, body, revision }));
      setError(null);
    } catch (problem) {
      setAnswer(null);
      setError(sayable(trans, problem));
    }
    setBusy(false);
  };
  const toJson = (): void => {
    setAsk(attempt(current, ask));
    setMode('json');
  };
  return (
    <>
      <div className="at-Console-ask">
        {metadata && (
          <div className="at-Line" role="group" aria-label={trans.__('How to ask')}>
            <Mode label={trans.__('Form')} on={mode === 'form'} onClick={() => setMode('form')} />
            <Mode label={trans.__('JSON')} on={mode === 'json'} onClick={toJson} />
          </div>
        )}
        <div hidden={mode !== 'form'}>
          {metadata && <InputForm metadata={metadata} onChange={make => setMade({ make })} />}
        </div>
        {mode === 'json' && <JsonForm ask={ask} fixed={metadata !== null} onChange={setAsk} />}
        <div className="at-Line">
          <TextButton
            label={busy ? trans.__('Asking…') : trans.__('Send')}
            accept
            disabled={busy}
            onClick={() => void send()}
          />
        </div>
      </div>
      <div aria-live="polite">
        <ErrorNotice error={error} />
        {answer && <AnswerView answer={answer} />}
      </div>
      <Snippets {...props} ask={attempt(current, ask)} />
    </>
  );
}

function firstAsk({ service, metadata }: RequestProps): Ask {
  if (!service.model_url) {
    return { method: 'GET', path: '', text: '{}' };
  }
  const inputs = metadata?.inputs.map(one => ({
    ...one,
    shape: one.shape.map(size => Math.max(size, 1)),
    data: []
  }));
  return {
    method: 'POST',
    path: `${modelPath(service)}/infer`,
    text: JSON.stringify({ inputs: inputs ?? [] }, null, 1)
  };
}

/** `make`, or what is there where the form cannot be read yet. */
function attempt(make: () => Ask, otherwise: Ask): Ask {
  try {
    return make();
  } catch {
    return otherwise;
  }
}

function sayable(trans: ReturnType<typeof useTrans>, problem: unknown): unknown {
  if (problem instanceof BadValue) {
    return new Error(trans.__('Row %1: %2 is no number that the model takes.', problem.row, problem.input));
  }
  return problem instanceof SyntaxError
    ? new Error(trans.__('This is not JSON: %1', problem.message))
    : problem;
}

function Mode(props: { label: string; on: boolean; onClick: () => void }): JSX.Element {
  return (
    <button
      type="button"
      className="jp-Button jp-mod-styled at-Button at-Mode"
      aria-pressed={props.on}
      onClick={props.onClick}
    >
      {props.label}
    </button>
  );
}

function JsonForm(props: { ask: Ask; fixed: boolean; onChange: (ask: Ask) => void }): JSX.Element {
  const { ask, onChange } = props;
  const trans = useTrans();
  return (
    <div className="at-Form">
      {!props.fixed && (
        <div className="at-Line">
          <HTMLSelect
            aria-label={trans.__('Method')}
            value={ask.method}
            onChange={event => onChange({ ...ask, method: event.target.value as Ask['method'] })}
          >
            <option value="GET">GET</option>
            <option value="POST">POST</option>
          </HTMLSelect>
          <input
            className="at-Input"
            aria-label={trans.__('Path below the URL')}
            placeholder={trans.__('Path below the URL')}
            value={ask.path}
            onChange={event => onChange({ ...ask, path: event.target.value.replace(/^\/+/, '') })}
          />
        </div>
      )}
      {ask.method === 'POST' && (
        <textarea
          className="at-Input at-Area at-Code"
          aria-label={trans.__('Body as JSON')}
          rows={10}
          spellCheck={false}
          value={ask.text}
          onChange={event => onChange({ ...ask, text: event.target.value })}
        />
      )}
    </div>
  );
}

function Snippets(props: RequestProps & { ask: Ask }): JSX.Element {
  const { ask, service, revision } = props;
  const trans = useTrans();
  const url = ask.path ? `${fullUrl(service)}/${ask.path}` : fullUrl(service);
  const asked = { url, method: ask.method, body: ask.text, revision };
  return (
    <details className="at-Console-snippets">
      <summary>{trans.__('The same from elsewhere')}</summary>
      <p className="at-Quiet">
        {trans.__('Make a key under Keys, and put it into the variable ATELIER_KEY.')}
      </p>
      <CopyText label="curl" text={curl(asked)} />
      <CopyText label="Python" text={python(asked)} />
    </details>
  );
}
