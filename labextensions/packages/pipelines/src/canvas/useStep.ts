import { useCallback, useSyncExternalStore } from 'react';

import { LiveStep } from '../model/live';
import { PipelineView } from '../model/view';

/** The step that a node is in the run that is shown; drawn anew only when that step changes. */
export function useStep(view: PipelineView, node: string): LiveStep | undefined {
  const subscribe = useCallback(
    (notify: () => void) => {
      let live = view.live;
      const onStep = (_sender: unknown, changed: string | null): void => {
        if (changed === null || changed === node) {
          notify();
        }
      };
      const onView = (): void => {
        if (view.live !== live) {
          live?.stepChanged.disconnect(onStep);
          live = view.live;
          live?.stepChanged.connect(onStep);
          notify();
        }
      };
      live?.stepChanged.connect(onStep);
      view.changed.connect(onView);
      return () => {
        live?.stepChanged.disconnect(onStep);
        view.changed.disconnect(onView);
      };
    },
    [view, node]
  );
  return useSyncExternalStore(subscribe, () => view.live?.step(node));
}
