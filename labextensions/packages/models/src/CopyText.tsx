import { IconButton, useTrans } from '@atelier/ui';
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A text with a button that copies it. */
export function CopyText(props: { label: string; text: string }): JSX.Element {
  const trans = useTrans();
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => setCopied(false), [props.text]);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(props.text);
    setCopied(true);
  };
  return (
    <div className="at-CopyText">
      <div className="at-Line">
        <span className="at-Line-grow at-Quiet">{props.label}</span>
        <span className="at-Quiet at-Small" role="status">
          {copied ? trans.__('Copied') : ''}
        </span>
        <IconButton
          icon={copied ? checkIcon : copyIcon}
          label={trans.__('Copy: %1', props.label)}
          onClick={() => void copy()}
        />
      </div>
      <pre tabIndex={0} aria-label={props.label}>
        {props.text}
      </pre>
    </div>
  );
}
