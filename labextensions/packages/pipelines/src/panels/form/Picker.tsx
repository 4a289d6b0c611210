import { IconButton } from '@atelier/ui';
import { caretDownIcon } from '@jupyterlab/ui-components';
import React, { RefObject, useEffect, useRef } from 'react';

import { PickerKind } from '../../model/offers';
import { usePanel } from '../services';
import { PickerList, useListKeys, usePicker } from './usePicker';

const MARGIN = 8;
const HIGHEST = 280;

/** A text that can be picked from a list of what there is; anything else may be written, too. */
export function Picker(props: {
  id: string;
  kind: PickerKind;
  value: string;
  disabled: boolean;
  /** What it must look like; nothing else is offered then. */
  pattern?: string;
  /** Its name, where no label stands beside it. */
  label?: string;
  placeholder?: string;
  onChange: (value: string | undefined) => void;
}): React.JSX.Element {
  const { trans } = usePanel();
  const { id, value, disabled, onChange } = props;
  const input = useRef<HTMLInputElement>(null);
  const { list, close, take, move, show, typing } = usePicker(
    props.kind,
    value,
    props.pattern ?? '',
    onChange
  );
  const { open, shown, at } = list;
  useListKeys(input, open, {
    ArrowDown: () => (move(1), true),
    ArrowUp: () => (move(-1), true),
    Escape: () => (close(), true),
    Enter: () => (take(shown[at]), true)
  });
  return (
    <span className="at-Picker">
      <input
        ref={input}
        id={id}
        className="jp-mod-styled"
        role="combobox"
        autoComplete="off"
        spellCheck={false}
        aria-label={props.label}
        aria-autocomplete="list"
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-activedescendant={open && at >= 0 ? `${id}-list-${at}` : undefined}
        value={value}
        placeholder={props.placeholder}
        disabled={disabled}
        onChange={event => {
          typing();
          onChange(event.target.value || undefined);
        }}
        onKeyDown={event => !open && event.key === 'ArrowDown' && show()}
        onBlur={close}
      />
      <span onMouseDown={event => event.preventDefault()}>
        <IconButton
          icon={caretDownIcon}
          label={trans.__('Show what there is')}
          disabled={disabled}
          onClick={() => {
            input.current?.focus();
            (open ? close : show)();
          }}
        />
      </span>
      {open && <Offered id={`${id}-list`} kind={props.kind} list={list} below={input} onTake={take} />}
    </span>
  );
}

function Offered(props: {
  id: string;
  kind: PickerKind;
  list: PickerList;
  below: RefObject<HTMLElement>;
  onTake: ReturnType<typeof usePicker>['take'];
}): React.JSX.Element {
  const { trans } = usePanel();
  const { id, list } = props;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = box;
    // In the top layer neither the panel nor a dialog cuts it off.
    current?.setAttribute('popover', 'manual');
    current?.showPopover();
  }, []);
  useEffect(() => {
    if (box.current && props.below.current) {
      place(box.current, props.below.current.getBoundingClientRect());
    }
  });
  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [list.at]);
  const said = saidOf(trans, props.kind, list);
  return (
    <div ref={box} className="at-Picker-list" onMouseDown={event => event.preventDefault()}>
      <div id={id} role="listbox" aria-label={trans.__('What there is')}>
        {list.shown.map((offer, index) => (
          <div
            key={offer.value}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === list.at}
            className="at-Picker-option"
            data-value={offer.value}
            onClick={() => props.onTake(offer)}
          >
            <div className="at-Picker-label" title={offer.value}>
              {offer.label}
            </div>
            <div className="at-Picker-about" title={offer.about}>
              {offer.about}
            </div>
          </div>
        ))}
      </div>
      {said && (
        <div className="at-Picker-said" role="status">
          {said}
        </div>
      )}
    </div>
  );
}

/** What stands there instead of offers. */
function saidOf(trans: ReturnType<typeof usePanel>['trans'], kind: PickerKind, list: PickerList): string {
  if (list.shown.length) {
    return '';
  }
  if (list.busy) {
    return trans.__('Loading…');
  }
  if (list.error) {
    return list.error;
  }
  const hints: Record<PickerKind, string> = {
    dataset: trans.__('No dataset with these words. Register one in the Datasets panel.'),
    model: trans.__('No model with these words. Steps register them; see the Models panel.'),
    image: trans.__('No image with these words. Any reference that the cluster can pull may be written.'),
    flavor: trans.__('No flavor with these words.'),
    secret: trans.__('No secret with these words. Add one in the Project panel.')
  };
  return hints[kind];
}

/** Below the field, or above it where there is no room. */
function place(box: HTMLElement, field: DOMRect): void {
  const below = window.innerHeight - field.bottom - MARGIN;
  const up = below < Math.min(HIGHEST, box.scrollHeight) && field.top > below;
  const room = Math.min(HIGHEST, (up ? field.top : window.innerHeight - field.bottom) - MARGIN);
  const left = Math.min(field.left, window.innerWidth - Math.max(field.width, 240) - MARGIN);
  Object.assign(box.style, {
    left: `${Math.max(MARGIN, left)}px`,
    width: `${Math.max(field.width, 240)}px`,
    maxHeight: `${room}px`,
    top: up ? 'auto' : `${field.bottom + 2}px`,
    bottom: up ? `${window.innerHeight - field.top + 2}px` : 'auto'
  });
}
