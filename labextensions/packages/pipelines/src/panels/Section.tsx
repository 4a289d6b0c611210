import React, { useEffect, useState } from 'react';

/** A part of a form that can be closed; `force` opens it. */
export function Section(props: {
  title: string;
  closed?: boolean;
  force?: boolean;
  children: React.ReactNode;
}): React.JSX.Element {
  const [open, setOpen] = useState(!props.closed);
  const { force } = props;
  useEffect(() => {
    if (force) {
      setOpen(true);
    }
  }, [force]);
  return (
    <details
      className="at-FormSection"
      open={open}
      onToggle={event => setOpen((event.target as HTMLDetailsElement).open)}
    >
      <summary className="at-FormSection-title">{props.title}</summary>
      {open && <div className="at-FormSection-body">{props.children}</div>}
    </details>
  );
}
