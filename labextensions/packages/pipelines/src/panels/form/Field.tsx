import { IconButton } from '@atelier/ui';
import { codeIcon, deleteIcon } from '@jupyterlab/ui-components';
import { ADDITIONAL_PROPERTY_FLAG, FieldTemplateProps } from '@rjsf/utils';
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

/** Where in the form's data a field stands: `name`, or `name_part` inside of another. */
function placeOf(id: string): string {
  return id.replace(/^[^_]*_?/, '');
}

function useAskedFor(asked: boolean): React.RefObject<HTMLDivElement> {
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (asked) {
      root.current?.scrollIntoView({ block: 'nearest' });
      root.current?.querySelector<HTMLElement>('input, select, textarea, .cm-content')?.focus();
    }
  }, [asked]);
  return root;
}

/** One field: its label, what it is for, and what is wrong with it. */
export function ParameterField(props: FieldTemplateProps): React.JSX.Element {
  const { id, schema, rawErrors, children } = props;
  const context = props.formContext as Partial<FormContext> | undefined;
  const name = placeOf(id);
  const root = useAskedFor(!!name && context?.focus === name);
  if (!name || props.hidden) {
    return <div hidden={props.hidden}>{children}</div>;
  }
  const plain = schema.type !== 'object' && schema.type !== 'array';
  const error = rawErrors?.[0];
  const kind = error ? 'at-Field at-mod-error' : 'at-Field';
  return (
    <div ref={root} className={plain ? kind : `${kind} at-mod-nested`} data-field={name}>
      {ADDITIONAL_PROPERTY_FLAG in schema ? (
        <NamedValue {...props} />
      ) : (
        <>
          <Head {...props} name={name} context={context} plain={plain} />
          {!plain && <Description {...props} />}
          <div className="at-Field-input">{children}</div>
        </>
      )}
      {error && (
        <div className="at-Field-error" role="alert" id={`${id}__error`}>
          {error}
        </div>
      )}
      {plain && <Description {...props} />}
    </div>
  );
}

function Description({ id, schema }: FieldTemplateProps): React.JSX.Element | null {
  return schema.description ? (
    <div className="at-Field-description" id={`${id}__description`}>
      {schema.description}
    </div>
  ) : null;
}

/** The label; an item of a list has one for screen readers only. */
function Head(
  props: FieldTemplateProps & { name: string; context: Partial<FormContext> | undefined; plain: boolean }
): React.JSX.Element | null {
  const { trans } = usePanel();
  const { id, label, required, uiSchema, name, context, plain } = props;
  const options = (uiSchema?.['ui:options'] ?? {}) as { canBeVariable?: boolean; label?: boolean };
  const [, index] = /_(\d+)$/.exec(id) ?? [];
  if (index !== undefined) {
    return plain ? (
      <label className="at-visually-hidden" htmlFor={id}>
        {trans.__('Item %1', Number(index) + 1)}
      </label>
    ) : (
      <div className="at-Field-label at-Quiet">{trans.__('Item %1', Number(index) + 1)}</div>
    );
  }
  if (options.label === false) {
    return null;
  }
  const star = required && <span aria-hidden="true"> *</span>;
  const { variables, setVariable } = context ?? {};
  return (
    <div className="at-Field-head">
      {plain ? (
        <label className="at-Field-label" htmlFor={id}>
          {label}
          {star}
        </label>
      ) : (
        <span className="at-Field-label">
          {label}
          {star}
        </span>
      )}
      {options.canBeVariable && variables && setVariable && (
        <VariableButton name={name} context={{ variables, setVariable }} />
      )}
    </div>
  );
}

/** A value under a name that the person gives it. */
function NamedValue(props: FieldTemplateProps): React.JSX.Element {
  const { trans } = usePanel();
  const { id, label, children, onKeyChange, onDropPropertyClick } = props;
  const fixed = props.readonly || props.disabled;
  return (
    <div className="at-NamedValue">
      <input
        key={label}
        className="jp-mod-styled at-NamedValue-name"
        aria-label={trans.__('Name')}
        defaultValue={label}
        readOnly={fixed}
        onBlur={event => event.target.value !== label && onKeyChange(event.target.value)}
      />
      <div className="at-NamedValue-value">
        <label className="at-visually-hidden" htmlFor={id}>
          {trans.__('Value of %1', label)}
        </label>
        {children}
      </div>
      {!fixed && (
        <IconButton
          icon={deleteIcon}
          label={trans.__('Remove %1', label)}
          onClick={() => onDropPropertyClick(label)()}
        />
      )}
    </div>
  );
}

function VariableButton(props: {
  name: string;
  context: Pick<FormContext, 'variables' | 'setVariable'>;
}): React.JSX.Element {
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
