import { ApiError } from '@atelier/api';
import { errorIcon, LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useTrans } from './i18n';

/** What a person should read of an error. */
export function describe(error: unknown): { message: string; hint: string } {
  if (error instanceof ApiError) {
    return { message: error.message, hint: error.hint };
  }
  return { message: error instanceof Error ? error.message : String(error), hint: '' };
}

/** What happened, what to do, and a button to try again. */
export function ErrorNotice(props: { error: unknown; retry?: () => void }): JSX.Element | null {
  const trans = useTrans();
  if (!props.error) {
    return null;
  }
  const { message, hint } = describe(props.error);
  return (
    <div className="at-ErrorNotice" role="alert">
      <errorIcon.react tag="span" className="at-ErrorNotice-icon" aria-hidden="true" />
      <div className="at-ErrorNotice-text">
        <p>{message}</p>
        {hint && <p className="at-ErrorNotice-hint">{hint}</p>}
      </div>
      {props.retry && (
        <button className="jp-Button jp-mod-styled at-Button" onClick={props.retry}>
          {trans.__('Try again')}
        </button>
      )}
    </div>
  );
}

/** What stands where nothing is yet, and what to do about it. */
export function EmptyState(props: {
  icon?: LabIcon;
  title: string;
  children?: React.ReactNode;
  action?: { label: string; run: () => void };
}): JSX.Element {
  const { icon: Icon, action } = props;
  return (
    <div className="at-EmptyState">
      {Icon && <Icon.react tag="span" className="at-EmptyState-icon" aria-hidden="true" />}
      <p className="at-EmptyState-title">{props.title}</p>
      {props.children && <div className="at-EmptyState-text">{props.children}</div>}
      {action && (
        <button className="jp-Button jp-mod-styled jp-mod-accept at-Button" onClick={action.run}>
          {action.label}
        </button>
      )}
    </div>
  );
}

/** Something is on its way. */
export function Loading(props: { label?: string }): JSX.Element {
  const trans = useTrans();
  return (
    <div className="at-Loading" role="status">
      <span className="at-Loading-wheel" aria-hidden="true" />
      <span>{props.label ?? trans.__('Loading…')}</span>
    </div>
  );
}
