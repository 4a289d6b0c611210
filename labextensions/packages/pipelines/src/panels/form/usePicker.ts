import { ApiError } from '@atelier/api';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { matching, Offer, Offers, PickerKind } from '../../model/offers';
import { usePanel } from '../services';

/** What the list of a picker shows. */
export interface PickerList {
  open: boolean;
  busy: boolean;
  error: string;
  shown: readonly Offer[];
  /** Where the keyboard stands in `shown`; -1 is nowhere. */
  at: number;
}

/** A list that opens below a field, is narrowed by what is typed there, and walked with the arrows. */
export function usePicker(kind: PickerKind, text: string, pattern: string, choose: (value: string) => void) {
  const { view, trans } = usePanel();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState(false);
  const [at, setAt] = useState(-1);
  const [{ offers, busy, error }, setFound] = useState({ offers: [] as Offer[], busy: false, error: '' });
  const source = useMemo(() => new Offers(view.atelier, view.catalog, trans), [view, trans]);
  // A name that is complete brings its versions.
  const key = /^[^@]*@/.exec(text)?.[0] ?? '';
  useEffect(() => {
    if (!open) {
      return undefined;
    }
    let here = true;
    setFound(before => ({ ...before, busy: true, error: '' }));
    source.find(kind, key, pattern).then(
      offers => here && setFound({ offers, busy: false, error: '' }),
      (why: ApiError) => here && setFound({ offers: [], busy: false, error: why.message })
    );
    return () => {
      here = false;
    };
  }, [open, source, kind, key, pattern]);
  const shown = typed ? matching(offers, text) : offers;
  const close = useCallback(() => {
    setOpen(false);
    setTyped(false);
    setAt(-1);
  }, []);
  const take = (offer: Offer | undefined): void => {
    if (offer) {
      choose(offer.value);
    }
    close();
  };
  const move = (by: number): void => {
    if (open) {
      setAt(shown.length ? (at + by + shown.length + (at < 0 && by < 0 ? 1 : 0)) % shown.length : -1);
    } else {
      setOpen(true);
    }
  };
  const list: PickerList = { open, busy, error, shown, at };
  return {
    list,
    close,
    take,
    move,
    show: () => setOpen(true),
    typing: () => (setTyped(true), setOpen(true))
  };
}

/** Keys of an open list come here before Lab's dialogs, which close on Enter and Escape. */
export function useListKeys(
  input: React.RefObject<HTMLElement>,
  open: boolean,
  keys: Readonly<Record<string, () => boolean>>
): void {
  const wanted = useRef(keys);
  wanted.current = keys;
  useEffect(() => {
    if (!open) {
      return undefined;
    }
    const heard = (event: KeyboardEvent): void => {
      if (event.target === input.current && wanted.current[event.key]?.()) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    };
    window.addEventListener('keydown', heard, true);
    return () => window.removeEventListener('keydown', heard, true);
  }, [input, open]);
}
