import { Artifact, Step } from '@atelier/api';
import { bytesText, EmptyState, useTrans } from '@atelier/ui';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { downloadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { RunModel } from '../model/run';
import { OutputActions } from './outputActions';

/** The files and folders that a step left, to be downloaded. */
export function Outputs({ model, step }: { model: RunModel; step: Step }): JSX.Element {
  const trans = useTrans();
  const artifacts = model.artifacts.filter(artifact => artifact.step === step.name);
  if (artifacts.length === 0) {
    return (
      <EmptyState title={trans.__('No outputs')}>
        {trans.__('What the step declares as outputs is stored here once it has finished.')}
      </EmptyState>
    );
  }
  return (
    <table className="at-Facts at-Outputs">
      <thead>
        <tr>
          <th scope="col">{trans.__('Output')}</th>
          <th scope="col">{trans.__('Type')}</th>
          <th scope="col" className="at-mod-number">
            {trans.__('Size')}
          </th>
          <th scope="col">
            <span className="at-visually-hidden">{trans.__('Download')}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {artifacts.map(artifact => (
          <OutputRow key={artifact.id} project={model.project} artifact={artifact} />
        ))}
      </tbody>
    </table>
  );
}

function OutputRow({ project, artifact }: { project: string; artifact: Artifact }): JSX.Element {
  const trans = useTrans();
  const label = trans.__('Download %1', artifact.name);
  return (
    <tr>
      <th scope="row" title={artifact.digest}>
        {artifact.name}
      </th>
      <td>{artifact.type || artifact.kind}</td>
      <td className="at-mod-number">{bytesText(artifact.size)}</td>
      <td>
        <span className="at-Line">
          <a
            className="at-IconLink"
            href={contentUrl(project, artifact)}
            download={`${artifact.step}-${artifact.name}${artifact.kind === 'folder' ? '.tar' : ''}`}
            aria-label={label}
            title={label}
          >
            <downloadIcon.react tag="span" aria-hidden="true" />
          </a>
          <OutputActions project={project} artifact={artifact} />
        </span>
      </td>
    </tr>
  );
}

function contentUrl(project: string, artifact: Artifact): string {
  const path = `projects/${encodeURIComponent(project)}/artifacts/${encodeURIComponent(artifact.id)}/content`;
  return URLExt.join(PageConfig.getBaseUrl(), 'atelier/api', path);
}
