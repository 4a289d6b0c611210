import { useTrans } from '@atelier/ui';
import * as React from 'react';

import { VersionDetail } from './model';
import { ModelViewProps } from './ModelView';

/** Where a version comes from: rows of a table of facts. */
export function Lineage(props: ModelViewProps & { detail: VersionDetail }): JSX.Element {
  const { lineage } = props.detail;
  const trans = useTrans();
  if (!lineage.run) {
    return (
      <tr>
        <th scope="row">{trans.__('From')}</th>
        <td className="at-Quiet">
          {lineage.mlflow_run
            ? trans.__('MLflow run %1', lineage.mlflow_run)
            : trans.__('somebody’s own work; no run is known')}
        </td>
      </tr>
    );
  }
  return (
    <>
      <tr>
        <th scope="row">{trans.__('From')}</th>
        <td>
          <button type="button" className="at-LinkButton" onClick={() => props.onRun(lineage.run)}>
            {trans.__('Run %1', lineage.run)}
          </button>{' '}
          <span className="at-Quiet">{[lineage.step, lineage.output].filter(Boolean).join(' → ')}</span>
        </td>
      </tr>
      {lineage.datasets.length > 0 && (
        <tr>
          <th scope="row">{trans.__('Datasets')}</th>
          <td>
            {lineage.datasets.map(dataset => (
              <div key={dataset}>
                <button
                  type="button"
                  className="at-LinkButton"
                  onClick={() => props.onDataset(nameOf(dataset))}
                >
                  {dataset}
                </button>
              </div>
            ))}
          </td>
        </tr>
      )}
      <Code lineage={lineage} />
    </>
  );
}

function Code({ lineage }: { lineage: VersionDetail['lineage'] }): JSX.Element | null {
  const trans = useTrans();
  if (!lineage.pipeline && !lineage.revision) {
    return null;
  }
  return (
    <tr>
      <th scope="row">{trans.__('Code')}</th>
      <td>
        {lineage.pipeline}{' '}
        {lineage.revision && (
          <span className="at-Quiet" title={lineage.snapshot}>
            {trans.__('revision %1', lineage.revision)}
          </span>
        )}
      </td>
    </tr>
  );
}

/** The name in `name@3`, `name/3` or `dataset:name@3`. */
function nameOf(dataset: string): string {
  return dataset.replace(/^datasets?:\/*/, '').split(/[@/]/)[0];
}
