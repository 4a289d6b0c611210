import { IAtelier } from '@atelier/api';
import { addIcon, LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { TextButton } from './button';
import { useSignal } from './hooks';
import { useTrans } from './i18n';
import { SearchInput } from './input';
import { RowList } from './list';
import { LiveList } from './live';
import { refusal, useMembership } from './membership';
import { EmptyState, ErrorNotice, Loading } from './notice';
import { Ago } from './time';

interface Named {
  name: string;
  description: string;
}

/** What `ListPanel` draws, and says. */
export interface ListPanelProps<T extends Named> {
  atelier: IAtelier;
  list: LiveList<T>;
  label: string;
  filterLabel: string;
  /** Said where the filter leaves nothing. */
  nothingFits: string;
  /** The button beside the filter. */
  add: { label: string; title: string; run: () => void };
  /** What stands where nothing is yet; without an action it offers what the button does. */
  empty: { icon: LabIcon; title: string; text: string; action?: { label: string; run: () => void } };
  /** What the filter looks at beside name and description. */
  wordsOf: (item: T) => string[];
  nameOf?: (item: T) => string;
  draw: (item: T) => React.ReactNode;
  onOpen: (item: T) => void;
  /** Stands between the filter and the rows. */
  children?: React.ReactNode;
}

/** The things of one kind in the project, live: a filter, a button for a new one, a row for each. */
export function ListPanel<T extends Named>(props: ListPanelProps<T>): JSX.Element {
  const { list, add } = props;
  const trans = useTrans();
  const [query, setQuery] = React.useState('');
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  useSignal(list.changed);
  React.useEffect(() => list.begin(), [list]);
  return (
    <>
      <div className="at-Panel-bar">
        <SearchInput label={props.filterLabel} onChange={setQuery} />
        <TextButton
          icon={addIcon}
          label={add.label}
          disabled={Boolean(refused)}
          title={refused || add.title}
          onClick={add.run}
        />
      </div>
      {props.children}
      <ErrorNotice error={list.error} retry={() => void list.load()} />
      <Rows {...props} query={query} refused={Boolean(refused)} />
    </>
  );
}

function Rows<T extends Named>(
  props: ListPanelProps<T> & { query: string; refused: boolean }
): JSX.Element | null {
  const { list, empty, query } = props;
  if (!list.items) {
    return list.error ? null : <Loading />;
  }
  if (list.items.length === 0) {
    const action = props.refused ? undefined : (empty.action ?? props.add);
    return (
      <EmptyState icon={empty.icon} title={empty.title} action={action}>
        {empty.text}
      </EmptyState>
    );
  }
  const shown = list.items.filter(one => fits([one.name, one.description, ...props.wordsOf(one)], query));
  return (
    <RowList
      label={props.label}
      items={shown}
      idOf={one => one.name}
      nameOf={props.nameOf ?? (one => one.name)}
      draw={props.draw}
      onOpen={props.onOpen}
      footer={shown.length ? null : <EmptyState title={props.nothingFits} />}
    />
  );
}

/** Whether each word of the query stands in one of the texts. */
function fits(texts: string[], query: string): boolean {
  const text = texts.join('\n').toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every(word => text.includes(word));
}

/** A row: what it is and what it is called; below, smaller, what is to be said of it, and since when. */
export function ListRow(props: {
  icon: React.ReactNode;
  name: string;
  marks?: React.ReactNode;
  details: React.ReactNode;
  changedAt: string;
}): JSX.Element {
  return (
    <>
      <div className="at-Line">
        {props.icon}
        <span className="at-Line-grow at-Ellipsis" title={props.name}>
          {props.name}
        </span>
        {props.marks}
      </div>
      <div className="at-Line at-Quiet at-Small at-RunRow-details">
        {props.details}
        <span className="at-Line-grow" />
        <Ago at={props.changedAt} />
      </div>
    </>
  );
}
