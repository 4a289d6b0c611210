import { useTrans, WithTrans } from '@atelier/ui';
import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { fromComputer, Source } from './sources';

type Kind = 'files' | 'folder' | 'workspace' | 'uri';

/** What is to become a version, and for a new dataset its name. */
export interface Wish {
  name: string;
  description: string;
  tags: string[];
  kind: Kind;
  chosen: Source[];
  path: string;
  uri: string;
}

/** What the dialog begins with: `dataset` for a new version of it, `path` of the workspace. */
export interface Start {
  dataset?: string;
  path?: string;
}

/** Ask what to register; nothing if the person went away. */
export async function askWhat(trans: TranslationBundle, start: Start): Promise<Wish | null> {
  const title = start.dataset ? trans.__('New version of %1', start.dataset) : trans.__('Register a dataset');
  const answer = await showDialog({
    title,
    body: new Body(trans, start),
    focusNodeSelector: 'input',
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
    const name = start.dataset ?? nameOf(start.path ?? '');
    const kind = start.path ? 'workspace' : 'files';
    this.wish = { name, description: '', tags: [], kind, chosen: [], path: start.path ?? '', uri: '' };
  }

  getValue(): Wish {
    return this.wish;
  }

  protected override render(): JSX.Element {
    const change = (part: Partial<Wish>): void => void Object.assign(this.wish, part);
    return (
      <WithTrans trans={this.trans}>
        <WishForm first={this.wish} fixed={Boolean(this.start.dataset)} onChange={change} />
      </WithTrans>
    );
  }

  private readonly wish: Wish;
}

/** A dataset's name made of a file's. */
function nameOf(path: string): string {
  const last = path.split('/').pop() ?? '';
  return last
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '');
}

function WishForm(props: {
  first: Wish;
  fixed: boolean;
  onChange: (part: Partial<Wish>) => void;
}): JSX.Element {
  const trans = useTrans();
  const { first, onChange } = props;
  const [kind, setKind] = React.useState(first.kind);
  const [name, setName] = React.useState(first.name);
  const change = (part: Partial<Wish>): void => {
    onChange(part);
    setName(part.name ?? name);
    setKind(part.kind ?? kind);
  };
  const choose = (files: FileList | null): void => {
    const chosen = files ? fromComputer(files) : [];
    const guess = files?.[0]?.webkitRelativePath.split('/')[0] || files?.[0]?.name || '';
    change({ chosen, ...(name || props.fixed ? {} : { name: nameOf(guess) }) });
  };
  const kinds: [Kind, string][] = [
    ['files', trans.__('Files of this computer')],
    ['folder', trans.__('A folder of this computer')],
    ['workspace', trans.__('A file or folder of the workspace')],
    ['uri', trans.__('An address (URI)')]
  ];
  return (
    <div className="at-Form">
      <fieldset className="at-Form-kinds">
        <legend>{trans.__('What')}</legend>
        {kinds.map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="kind"
              checked={kind === value}
              onChange={() => change({ kind: value })}
            />
            {label}
          </label>
        ))}
      </fieldset>
      <What key={kind} kind={kind} first={first} onFiles={choose} onChange={change} />
      {!props.fixed && <About name={name} onChange={change} />}
    </div>
  );
}

function What(props: {
  kind: Kind;
  first: Wish;
  onFiles: (files: FileList | null) => void;
  onChange: (part: Partial<Wish>) => void;
}): JSX.Element {
  const trans = useTrans();
  const { kind, first, onChange } = props;
  if (kind === 'workspace') {
    return (
      <Text
        label={trans.__('Path in the workspace')}
        first={first.path}
        onChange={path => onChange({ path })}
      />
    );
  }
  if (kind === 'uri') {
    return (
      <Text
        label={trans.__('Address')}
        help={trans.__('For example s3://bucket/folder. The data stay where they are.')}
        first={first.uri}
        onChange={uri => onChange({ uri })}
      />
    );
  }
  const folder = kind === 'folder' ? { webkitdirectory: '' } : {};
  return (
    <label className="at-Form-field">
      {kind === 'folder' ? trans.__('Folder') : trans.__('Files')}
      <input type="file" multiple {...folder} onChange={event => props.onFiles(event.target.files)} />
    </label>
  );
}

function About(props: { name: string; onChange: (part: Partial<Wish>) => void }): JSX.Element {
  const trans = useTrans();
  const { name, onChange } = props;
  const tags = (text: string): void => onChange({ tags: text.split(/[\s,]+/).filter(Boolean) });
  return (
    <>
      <label className="at-Form-field">
        {trans.__('Name')}
        <input className="at-Input" value={name} onChange={event => onChange({ name: event.target.value })} />
      </label>
      <Text label={trans.__('Description')} onChange={description => onChange({ description })} />
      <Text label={trans.__('Tags')} help={trans.__('Words, separated by spaces')} onChange={tags} />
    </>
  );
}

function Text(props: {
  label: string;
  help?: string;
  first?: string;
  onChange: (text: string) => void;
}): JSX.Element {
  return (
    <label className="at-Form-field">
      {props.label}
      <input
        className="at-Input"
        defaultValue={props.first}
        onChange={event => props.onChange(event.target.value)}
      />
      {props.help && <span className="at-Form-help">{props.help}</span>}
    </label>
  );
}
