import { IconButton } from '@atelier/ui';
import { codeIcon } from '@jupyterlab/ui-components';
import { FieldTemplateProps } from '@rjsf/utils';
import React, { useEffect, useRef } from 'react';

import { usePanel } from '../services';

/** What the fields of one form have in common. */
export interface FormContext {
  /** The parameters that are variables now. */
  variables: ReadonlySet<string>;
  /** Make a parameter a variable, or a plain value again. */
  setVariable: (name: string, variable: boolean) => void;
  /** The field that is to be looked at. */
  focus: string;
}

/** One field: its label, what it is for, and what is wrong with it. */
export function ParameterField(props: FieldTemplateProps): React.JSX.Element {
  const { id, label, schema, rawErrors, required, children, uiSchema } = props;
  const context = props.formContext as FormContext | undefined;
  const name = id.replace(/^[^_]*_?/, '');
  const options = (uiSchema?.['ui:options'] ?? {}) as { canBeVariable?: boolean };
  const root = useRef<HTMLDivElement>(null);
  const focused = context?.focus === name;
  useEffect(() => {
    if (focused) {
      root.current?.scrollIntoView({ block: 'nearest' });
      root.current?.querySelector<HTMLElement>('input, select, textarea, .cm-content')?.focus();
    }
  }, [focused]);
  const plain = schema.type !== 'object' && schema.type !== 'array';
  const error = rawErrors?.[0];
  return (
    <div ref={root} className={error ? 'at-Field at-mod-error' : 'at-Field'} data-field={name}>
      <div className="at-Field-head">
        {plain && (
          <label className="at-Field-label" htmlFor={id}>
            {label}
            {required && <span aria-hidden="true"> *</span>}
          </label>
        )}
        {options.canBeVariable && context && <VariableButton name={name} context={context} />}
      </div>
      <div className="at-Field-input">{children}</div>
      {error && (
        <div className="at-Field-error" role="alert" id={`${id}__error`}>
          {error}
        </div>
      )}
      {plain && schema.description && (
        <div className="at-Field-description" id={`${id}__description`}>
          {schema.description}
        </div>
      )}
    </div>
  );
}

function VariableButton(props: { name: string; context: FormContext }): React.JSX.Element {
  const { trans } = usePanel();
  const { name, context } = props;
  const on = context.variables.has(name);
  const title = on
    ? trans.__('Use a plain value')
    : trans.__('Use a variable, such as {{ parameters.name }}');
  return (
    <IconButton
      className="at-Field-variable"
      icon={codeIcon}
      label={title}
      pressed={on}
      onClick={() => context.setVariable(name, !on)}
    />
  );
}
