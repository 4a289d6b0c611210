import { ErrorNotice, Loading, useLoaded, useTrans, WithTrans } from '@atelier/ui';
import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Candidate } from './candidates';
import { Output } from './model';

/** What is to become a version of which model: an output of a run, or a folder of the workspace. */
export interface Wish {
  name: string;
  note: string;
  output: Output | null;
  path: string;
}

/** What the dialog begins with; with neither, the person chooses among `find`. */
export interface Start {
  output?: Output;
  path?: string;
  find: () => Promise<Candidate[]>;
}

/** Ask what to register; nothing if the person went away. */
export async function askWhat(trans: TranslationBundle, start: Start): Promise<Wish | null> {
  const answer = await showDialog({
    title: trans.__('Register a model'),
    body: new Body(trans, start),
    focusNodeSelector: 'input[name="name"]',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Register') })
    ]
  });
  return answer.button.accept ? answer.value : null;
}

class Body extends ReactWidget implements Dialog.IBodyWidget<Wish> {
  constructor(
    private readonly trans: TranslationBundle,
    private readonly start: Start
  ) {
    super();
    const { output, path } = start;
    const name = nameOf(path?.split('/').pop() ?? output?.step ?? '');
    this.wish = { name, note: '', output: output ?? null, path: path ?? '' };
  }

  getValue(): Wish {
    return this.wish;
  }

  protected override render(): JSX.Element {
    return (
      <WithTrans trans={this.trans}>
        <WishForm start={this.start} wish={this.wish} />
      </WithTrans>
    );
  }

  private readonly wish: Wish;
}

/** A model's name made of a file's or step's. */
export function nameOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '');
}

function WishForm({ start, wish }: { start: Start; wish: Wish }): JSX.Element {
  const trans = useTrans();
  const [name, setName] = React.useState(wish.name);
  const rename = (next: string): void => {
    wish.name = next;
    setName(next);
  };
  return (
    <div className="at-Form">
      {start.output || start.path ? (
        <p className="at-Form-help">{sourceText(trans, wish)}</p>
      ) : (
        <Choice
          find={start.find}
          wish={wish}
          onSuggest={suggested => {
            if (!wish.name) {
              rename(suggested);
            }
          }}
        />
      )}
      <label className="at-Form-field">
        {trans.__('Name')}
        <input
          className="at-Input"
          name="name"
          value={name}
          autoComplete="off"
          onChange={event => rename(event.target.value)}
        />
        <span className="at-Form-help">{trans.__('A name that is there already gets a new version.')}</span>
      </label>
      <label className="at-Form-field">
        {trans.__('Note')}
        <input className="at-Input" onChange={event => (wish.note = event.target.value)} />
      </label>
    </div>
  );
}

function sourceText(trans: TranslationBundle, { output, path }: Wish): string {
  return output
    ? trans.__('The output %1 of step %2, run %3', output.output, output.step, output.run)
    : trans.__('The folder %1 of the workspace', path);
}

/** An output of the newest runs, or a path. */
function Choice(props: {
  find: () => Promise<Candidate[]>;
  wish: Wish;
  onSuggest: (name: string) => void;
}): JSX.Element {
  const trans = useTrans();
  const { value, error, again } = useLoaded(props.find, []);
  const [picked, setPicked] = React.useState('');
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const choose = (id: string): void => {
    const artifact = value.find(one => one.artifact.id === id)?.artifact;
    props.wish.output = artifact ? { run: artifact.run, step: artifact.step, output: artifact.name } : null;
    props.onSuggest(nameOf(artifact?.step ?? ''));
    setPicked(id);
  };
  return (
    <>
      <label className="at-Form-field">
        {trans.__('Output of a run')}
        <HTMLSelect value={picked} onChange={event => choose(event.target.value)}>
          <option value="">{trans.__('A folder of the workspace instead')}</option>
          {value.map(({ artifact, runName }) => (
            <option key={artifact.id} value={artifact.id}>
              {`${runName} · ${artifact.step} · ${artifact.name} · ${artifact.run}`}
            </option>
          ))}
        </HTMLSelect>
        {value.length === 0 && (
          <span className="at-Form-help">
            {trans.__('None of the newest runs left a model. Run the demo, or a pipeline with a trainer.')}
          </span>
        )}
      </label>
      {!picked && (
        <label className="at-Form-field">
          {trans.__('Folder with an MLmodel file')}
          <input
            className="at-Input"
            onChange={event => {
              props.wish.path = event.target.value;
            }}
          />
        </label>
      )}
    </>
  );
}
