import { searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A field that narrows what is shown; it has a name for screen readers, which Lab's own lacks. */
export function SearchInput(props: {
  label: string;
  value?: string;
  onChange: (text: string) => void;
}): JSX.Element {
  const [text, setText] = React.useState(props.value ?? '');
  return (
    <span className="at-SearchInput">
      <input
        type="search"
        className="at-Input"
        value={text}
        placeholder={props.label}
        aria-label={props.label}
        onChange={event => {
          setText(event.target.value);
          props.onChange(event.target.value);
        }}
      />
      <searchIcon.react tag="span" className="at-SearchInput-icon" aria-hidden="true" />
    </span>
  );
}

/** A button that asks for a file of this machine; the browser's own speaks another language than Lab. */
export function FileInput(props: {
  label: string;
  file: File | null;
  accept?: string;
  onChange: (file: File | null) => void;
}): JSX.Element {
  return (
    <label className="at-FileInput jp-Button jp-mod-styled at-Button" title={props.file?.name}>
      <input
        type="file"
        className="at-visually-hidden"
        accept={props.accept}
        onChange={event => props.onChange(event.target.files?.[0] ?? null)}
      />
      {props.label}
      {props.file && <span className="at-Quiet at-Ellipsis">{props.file.name}</span>}
    </label>
  );
}

/** Tabs: one stop of the Tab key, arrows move between them. */
export function Tabs(props: {
  label: string;
  tabs: { id: string; label: string }[];
  current: string;
  onChange: (id: string) => void;
  children: React.ReactNode;
}): JSX.Element {
  const { tabs, current } = props;
  const base = React.useId();
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const at = tabs.findIndex(tab => tab.id === current);
      const next = tabs[(at + step + tabs.length) % tabs.length];
      props.onChange(next.id);
      document.getElementById(`${base}-${next.id}`)?.focus();
    }
  };
  return (
    <div className="at-Tabs">
      <div role="tablist" aria-label={props.label} className="at-Tabs-bar" onKeyDown={onKeyDown}>
        {tabs.map(tab => (
          <button
            key={tab.id}
            id={`${base}-${tab.id}`}
            type="button"
            role="tab"
            className="at-Tabs-tab"
            aria-selected={tab.id === current}
            aria-controls={`${base}-panel`}
            tabIndex={tab.id === current ? 0 : -1}
            onClick={() => props.onChange(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div
        role="tabpanel"
        id={`${base}-panel`}
        aria-labelledby={`${base}-${current}`}
        className="at-Tabs-panel"
      >
        {props.children}
      </div>
    </div>
  );
}
