import { Dialog, ReactWidget, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { useTrans, WithTrans } from './i18n';
import { describe } from './notice';

/** One field of a form. */
export interface Field {
  name: string;
  label: string;
  help?: string;
  secret?: boolean;
  value?: string;
}

/** Ask for a few texts; nothing if the person went away. */
export async function askFor(
  trans: TranslationBundle,
  title: string,
  accept: string,
  fields: Field[]
): Promise<Record<string, string> | null> {
  const body = new FormBody(trans, fields);
  const answer = await showDialog({
    title,
    body,
    focusNodeSelector: 'input, textarea',
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: accept })]
  });
  return answer.button.accept ? answer.value : null;
}

/** Do something, and say what went wrong. */
export async function orSay(title: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    const { message, hint } = describe(error);
    await showErrorMessage(title, [message, hint].filter(Boolean).join('\n'));
    return false;
  }
}

class FormBody extends ReactWidget implements Dialog.IBodyWidget<Record<string, string>> {
  constructor(
    private readonly trans: TranslationBundle,
    private readonly fields: Field[]
  ) {
    super();
    this.values = Object.fromEntries(fields.map(field => [field.name, field.value ?? '']));
  }

  getValue(): Record<string, string> {
    return this.values;
  }

  protected override render(): JSX.Element {
    return (
      <WithTrans trans={this.trans}>
        <Form
          fields={this.fields}
          onChange={(name, value) => {
            this.values[name] = value;
          }}
        />
      </WithTrans>
    );
  }

  private readonly values: Record<string, string>;
}

function Form(props: { fields: Field[]; onChange: (name: string, value: string) => void }): JSX.Element {
  const trans = useTrans();
  const base = React.useId();
  const [shown, setShown] = React.useState(false);
  const some = props.fields.some(field => field.secret);
  return (
    <div className="at-Form">
      {props.fields.map(field => (
        <div key={field.name} className="at-Form-field">
          <label htmlFor={base + field.name}>{field.label}</label>
          <input
            id={base + field.name}
            className="at-Input"
            type={field.secret && !shown ? 'password' : 'text'}
            autoComplete="off"
            spellCheck={false}
            defaultValue={field.value}
            aria-describedby={field.help ? `${base + field.name}-help` : undefined}
            onChange={event => props.onChange(field.name, event.target.value)}
          />
          {field.help && (
            <p id={`${base + field.name}-help`} className="at-Form-help">
              {field.help}
            </p>
          )}
        </div>
      ))}
      {some && (
        <label className="at-Form-show">
          <input type="checkbox" checked={shown} onChange={event => setShown(event.target.checked)} />
          {trans.__('Show what I type')}
        </label>
      )}
    </div>
  );
}
