import { ISignal } from '@lumino/signaling';
import { useCallback, useSyncExternalStore } from 'react';

/** What `read` gives, again whenever `signal` is emitted; `read` must give the same value while nothing changed. */
export function useSignalValue<S, A, T>(signal: ISignal<S, A>, read: () => T): T {
  const subscribe = useCallback(
    (notify: () => void) => {
      signal.connect(notify);
      return () => void signal.disconnect(notify);
    },
    [signal]
  );
  return useSyncExternalStore(subscribe, read);
}
