import { ISignal } from '@lumino/signaling';
import * as React from 'react';

import { Retry } from './retry';

/** Draw again whenever `signal` is emitted. */
export function useSignal<S, A>(signal: ISignal<S, A> | undefined): void {
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    if (!signal) {
      return undefined;
    }
    const slot = (): void => redraw();
    signal.connect(slot);
    redraw();
    return () => {
      signal.disconnect(slot);
    };
  }, [signal]);
}

/** What `useLoaded` knows. */
export interface Loaded<T> {
  /** The last answer; it stays while the next one is on its way. */
  value: T | undefined;
  error: unknown;
  busy: boolean;
  /** Ask again. */
  again: () => void;
}

/** The answer of `load`, asked for whenever `keys` change, and by itself again while the platform is away. */
export function useLoaded<T>(load: () => Promise<T>, keys: unknown[]): Loaded<T> {
  const [state, setState] = React.useState<Omit<Loaded<T>, 'again'>>({
    value: undefined,
    error: null,
    busy: true
  });
  const [turn, setTurn] = React.useState(0);
  const [retry] = React.useState(() => new Retry(() => setTurn(old => old + 1)));
  React.useEffect(() => {
    let wanted = true;
    const heard = (
      next: (old: Omit<Loaded<T>, 'again'>) => Omit<Loaded<T>, 'again'>,
      error: unknown
    ): void => {
      if (wanted) {
        setState(next);
        retry.told(error);
      }
    };
    setState(old => ({ ...old, busy: true }));
    load().then(
      value => heard(() => ({ value, error: null, busy: false }), null),
      (error: unknown) => heard(old => ({ ...old, error, busy: false }), error)
    );
    return () => {
      wanted = false;
      retry.stop();
    };
  }, [turn, ...keys]);
  return { ...state, again: () => setTurn(turn + 1) };
}

/** Whether an element can be seen: a tab of Lab behind another one asks for nothing. */
export function useVisible(box: React.RefObject<HTMLElement>): boolean {
  const [visible, setVisible] = React.useState(true);
  React.useEffect(() => {
    if (!box.current) {
      return undefined;
    }
    const observer = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return visible;
}

/** The time, every second while `ticking`; a tab that nobody sees stands still. */
export function useNow(ticking: boolean, every = 1000): number {
  const [now, setNow] = React.useState(() => Date.now());
  React.useEffect(() => {
    if (!ticking) {
      return undefined;
    }
    setNow(Date.now());
    const timer = window.setInterval(() => {
      if (!document.hidden) {
        setNow(Date.now());
      }
    }, every);
    return () => window.clearInterval(timer);
  }, [ticking, every]);
  return now;
}
