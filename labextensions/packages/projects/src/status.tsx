import { Feed, FeedState, IAtelier } from '@atelier/api';
import {
  ContentWidget,
  doneIcon,
  failedIcon,
  projectIcon,
  queuedIcon,
  useSignal,
  useTrans
} from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A word and an icon in the status bar. */
function Item(props: {
  icon: LabIcon;
  text: string;
  title: string;
  kind?: string;
  onClick: (event: React.MouseEvent) => void;
}): JSX.Element {
  const { icon: Icon } = props;
  return (
    <button
      type="button"
      className={`at-StatusItem ${props.kind ?? ''}`}
      title={props.title}
      aria-label={props.title}
      onClick={props.onClick}
    >
      <Icon.react tag="span" className="at-StatusItem-icon" aria-hidden="true" />
      <span className="at-StatusItem-text">{props.text}</span>
    </button>
  );
}

/** The current project; a click offers the others. */
export function projectItem(
  trans: TranslationBundle,
  atelier: IAtelier,
  onClick: (place: DOMRect) => void
): ContentWidget {
  return statusWidget(trans, () => <ProjectItem atelier={atelier} onClick={onClick} />);
}

function ProjectItem(props: { atelier: IAtelier; onClick: (place: DOMRect) => void }): JSX.Element | null {
  const { atelier } = props;
  const trans = useTrans();
  useSignal(atelier.projectChanged);
  return atelier.project ? (
    <Item
      icon={projectIcon}
      text={atelier.project}
      title={trans.__('Project %1: choose another', atelier.project)}
      onClick={event => props.onClick(event.currentTarget.getBoundingClientRect())}
    />
  ) : null;
}

/** How the tab stands with the platform; a click says why. */
export function connectionItem(trans: TranslationBundle, feed: Feed, onClick: () => void): ContentWidget {
  return statusWidget(trans, () => <ConnectionItem feed={feed} onClick={onClick} />);
}

function ConnectionItem({ feed, onClick }: { feed: Feed; onClick: () => void }): JSX.Element {
  const trans = useTrans();
  useSignal(feed.stateChanged);
  const looks: Record<FeedState, [LabIcon, string]> = {
    connecting: [queuedIcon, trans.__('Connecting')],
    live: [doneIcon, trans.__('Live')],
    away: [failedIcon, trans.__('Away')]
  };
  const [icon, word] = looks[feed.state];
  const title = [trans.__('Atelier: %1', word), feed.reason?.message].filter(Boolean).join('\n');
  return <Item icon={icon} text={word} title={title} kind={`at-mod-${feed.state}`} onClick={onClick} />;
}

function statusWidget(trans: TranslationBundle, draw: () => React.ReactNode): ContentWidget {
  const widget = new ContentWidget(trans, draw);
  widget.addClass('at-Status');
  return widget;
}
