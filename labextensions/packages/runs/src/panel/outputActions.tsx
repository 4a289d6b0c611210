import { Artifact } from '@atelier/api';
import { IconButton } from '@atelier/ui';
import { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** What another feature can do with an output of a step. */
export interface OutputAction {
  icon: LabIcon;
  label: (artifact: Artifact) => string;
  fits: (artifact: Artifact) => boolean;
  run: (project: string, artifact: Artifact) => void;
}

const actions: OutputAction[] = [];

/** Offer something wherever outputs are listed. */
export function addOutputAction(action: OutputAction): void {
  actions.push(action);
}

/** Buttons of all that can be done with an output. */
export function OutputActions(props: { project: string; artifact: Artifact }): JSX.Element {
  const { project, artifact } = props;
  return (
    <>
      {actions
        .filter(action => action.fits(artifact))
        .map((action, at) => (
          <IconButton
            key={at}
            icon={action.icon}
            label={action.label(artifact)}
            onClick={() => action.run(project, artifact)}
          />
        ))}
    </>
  );
}
