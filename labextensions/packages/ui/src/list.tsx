import * as React from 'react';

/**
 * Rows that the keyboard walks: arrows, Home and End move, Enter opens, Space chooses.
 *
 * The list is one stop of the Tab key. `onNearEnd` is called when the last rows come into view.
 */
export function RowList<T>(props: {
  label: string;
  items: readonly T[];
  idOf: (item: T) => string;
  draw: (item: T) => React.ReactNode;
  nameOf: (item: T) => string;
  onOpen?: (item: T) => void;
  onChoose?: (item: T) => void;
  onMenu?: (item: T, event: React.MouseEvent) => void;
  chosen?: ReadonlySet<string>;
  onNearEnd?: () => void;
  footer?: React.ReactNode;
}): JSX.Element {
  const { items, idOf } = props;
  const [current, setCurrent] = React.useState('');
  const list = React.useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    items.findIndex(item => idOf(item) === current)
  );

  const move = (to: number): void => {
    const next = Math.min(items.length - 1, Math.max(0, to));
    setCurrent(idOf(items[next]));
    const row = list.current?.querySelectorAll<HTMLElement>('[role="row"]')[next];
    row?.focus();
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (items.length === 0 || !(event.target as HTMLElement).matches('[role="row"]')) {
      return;
    }
    const steps: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(items.length - 1),
      Enter: () => props.onOpen?.(items[at]),
      ' ': () => (props.onChoose ?? props.onOpen)?.(items[at])
    };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      step();
    }
  };
  const onScroll = (event: React.UIEvent<HTMLDivElement>): void => {
    const box = event.currentTarget;
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 300) {
      props.onNearEnd?.();
    }
  };
  return (
    <div className="at-RowList" onScroll={onScroll}>
      <div
        ref={list}
        role={items.length ? 'grid' : undefined}
        aria-label={items.length ? props.label : undefined}
        aria-multiselectable={props.onChoose ? true : undefined}
        onKeyDown={onKeyDown}
      >
        {items.map((item, position) => (
          <div
            key={idOf(item)}
            role="row"
            aria-selected={props.chosen?.has(idOf(item))}
            aria-label={props.nameOf(item)}
            tabIndex={position === at ? 0 : -1}
            className="at-RowList-row"
            onFocus={() => setCurrent(idOf(item))}
            onClick={event => (event.ctrlKey || event.metaKey ? props.onChoose : props.onOpen)?.(item)}
            onContextMenu={event => props.onMenu?.(item, event)}
          >
            <div role="gridcell">{props.draw(item)}</div>
          </div>
        ))}
      </div>
      {props.footer}
    </div>
  );
}
