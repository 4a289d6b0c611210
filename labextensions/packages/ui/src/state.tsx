import { State } from '@atelier/api';
import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { useTrans } from './i18n';
import * as icons from './icons';

const ICONS: Record<State, LabIcon> = {
  waiting: icons.waitingIcon,
  queued: icons.queuedIcon,
  starting: icons.startingIcon,
  running: icons.runningIcon,
  stopping: icons.stoppingIcon,
  done: icons.doneIcon,
  failed: icons.failedIcon,
  stopped: icons.stoppedIcon,
  skipped: icons.skippedIcon
};

/** All states, in the order in which they come. */
export const STATES = Object.keys(ICONS) as State[];

const FINAL: ReadonlySet<State> = new Set<State>(['done', 'failed', 'stopped', 'skipped']);

/** Whether nothing follows any more. */
export function isFinal(state: State): boolean {
  return FINAL.has(state);
}

/** The icon of a state. */
export function stateIcon(state: State): LabIcon {
  return ICONS[state];
}

/** A state as people say it. */
export function stateWord(trans: TranslationBundle, state: State): string {
  const words: Record<State, string> = {
    waiting: trans.__('Waiting'),
    queued: trans.__('Queued'),
    starting: trans.__('Starting'),
    running: trans.__('Running'),
    stopping: trans.__('Stopping'),
    done: trans.__('Done'),
    failed: trans.__('Failed'),
    stopped: trans.__('Stopped'),
    skipped: trans.__('Skipped')
  };
  return words[state];
}

interface BadgeProps {
  state: State;
  compact?: boolean;
}

/** Icon and word of a state: never colour alone. */
export function StateBadge({ state, compact }: BadgeProps): JSX.Element {
  return <Badge kind={state} icon={ICONS[state]} word={stateWord(useTrans(), state)} compact={compact} />;
}

/** The state of what is meant to run: no sign of something under way, and rest is no failure. */
export function ServiceBadge({ state, asleep, compact }: BadgeProps & { asleep?: boolean }): JSX.Element {
  const trans = useTrans();
  if (state !== 'running') {
    return <StateBadge state={state} compact={compact} />;
  }
  const word = serviceWord(trans, state, asleep);
  const kind = asleep ? 'asleep' : 'on';
  return <Badge kind={kind} icon={asleep ? icons.asleepIcon : icons.onIcon} word={word} compact={compact} />;
}

/** The state of a service as people say it. */
export function serviceWord(trans: TranslationBundle, state: State, asleep = false): string {
  return asleep && state === 'running' ? trans.__('Asleep') : stateWord(trans, state);
}

function Badge(props: { kind: string; icon: LabIcon; word: string; compact?: boolean }): JSX.Element {
  const { icon: Icon, word } = props;
  return (
    <span className={`at-StateBadge at-mod-${props.kind}`} title={word}>
      <Icon.react tag="span" className="at-StateBadge-icon" aria-hidden="true" />
      <span className={props.compact ? 'at-visually-hidden' : 'at-StateBadge-word'}>{word}</span>
    </span>
  );
}
