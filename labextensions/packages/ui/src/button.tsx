import { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A button that is only an icon; `label` is its name and its title. */
export function IconButton(props: {
  icon: LabIcon;
  label: string;
  onClick: (event: React.MouseEvent) => void;
  disabled?: boolean;
  pressed?: boolean;
  className?: string;
}): JSX.Element {
  const { icon: Icon } = props;
  return (
    <button
      type="button"
      className={`jp-Button jp-mod-minimal at-IconButton ${props.className ?? ''}`}
      aria-label={props.label}
      aria-pressed={props.pressed}
      title={props.label}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon.react tag="span" elementPosition="center" aria-hidden="true" />
    </button>
  );
}

/** A button with words, and perhaps an icon before them. */
export function TextButton(props: {
  label: string;
  onClick: () => void;
  icon?: LabIcon;
  accept?: boolean;
  warn?: boolean;
  disabled?: boolean;
  title?: string;
}): JSX.Element {
  const { icon: Icon } = props;
  const kind = props.warn ? ' jp-mod-warn' : props.accept ? ' jp-mod-accept' : '';
  return (
    <button
      type="button"
      className={`jp-Button jp-mod-styled at-Button${kind}`}
      title={props.title}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      {Icon && <Icon.react tag="span" elementPosition="center" aria-hidden="true" />}
      {props.label}
    </button>
  );
}
