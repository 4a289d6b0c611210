import * as React from 'react';

import { agoText, dateText, durationText } from './format';
import { useNow } from './hooks';
import { useTrans } from './i18n';

/** How long something took, or takes so far: then it counts on. */
export function Duration(props: { from?: string | null; to?: string | null }): JSX.Element | null {
  const trans = useTrans();
  const now = useNow(Boolean(props.from && !props.to));
  if (!props.from) {
    return null;
  }
  const end = props.to ? Date.parse(props.to) : now;
  return <span className="at-Duration">{durationText(trans, end - Date.parse(props.from))}</span>;
}

/** How long ago, with the date as its title. */
export function Ago(props: { at: string }): JSX.Element {
  const trans = useTrans();
  const now = useNow(true, 30_000);
  const then = Date.parse(props.at);
  return (
    <time className="at-Ago" dateTime={props.at} title={dateText(then)}>
      {agoText(trans, then, now)}
    </time>
  );
}
