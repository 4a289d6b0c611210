import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

interface FieldProps {
  label: string;
  value: string;
  name?: string;
  help?: string;
  onChange: (text: string) => void;
}

/** A text with its name above and what it means below. */
export function Text(props: FieldProps): JSX.Element {
  return <Field {...props} type="text" />;
}

/** A number. */
export function Amount(props: FieldProps): JSX.Element {
  return <Field {...props} type="number" />;
}

function Field(props: FieldProps & { type: string }): JSX.Element {
  return (
    <label className="at-Form-field">
      {props.label}
      <input
        className="at-Input"
        type={props.type}
        name={props.name}
        min={0}
        step="any"
        autoComplete="off"
        value={props.value}
        onChange={event => props.onChange(event.target.value)}
      />
      {props.help && <span className="at-Form-help">{props.help}</span>}
    </label>
  );
}

/** Several words, one per line. */
export function Lines(props: FieldProps): JSX.Element {
  return (
    <label className="at-Form-field">
      {props.label}
      <textarea
        className="at-Input at-Area"
        rows={3}
        value={props.value}
        onChange={event => props.onChange(event.target.value)}
      />
      {props.help && <span className="at-Form-help">{props.help}</span>}
    </label>
  );
}

/** One of several. */
export function Select(props: FieldProps & { options: [value: string, label: string][] }): JSX.Element {
  return (
    <label className="at-Form-field">
      {props.label}
      <HTMLSelect value={props.value} onChange={event => props.onChange(event.target.value)}>
        {props.options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </HTMLSelect>
      {props.help && <span className="at-Form-help">{props.help}</span>}
    </label>
  );
}
