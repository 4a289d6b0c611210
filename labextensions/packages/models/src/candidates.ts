import { Artifact, IAtelier, unwrap } from '@atelier/api';

const LOOKED_AT = 10;

/** An output that may become a model, and the run it is of. */
export interface Candidate {
  artifact: Artifact;
  runName: string;
}

/** The model outputs of the newest runs that ended well, newest first. */
export async function findCandidates(atelier: IAtelier, project: string): Promise<Candidate[]> {
  const runs = await unwrap(
    atelier.rest.GET('/projects/{project}/runs', {
      params: { path: { project }, query: { state: 'done', limit: LOOKED_AT } }
    })
  );
  const found = await Promise.all(
    runs.items.map(async run => {
      const path = { project, run: run.id };
      const { items } = await unwrap(
        atelier.rest.GET('/projects/{project}/runs/{run}/artifacts', { params: { path } })
      );
      return items.filter(isModel).map(artifact => ({ artifact, runName: run.name }));
    })
  );
  return found.flat();
}

/** Whether an output is declared to be a model. */
export function isModel(artifact: Artifact): boolean {
  return artifact.type === 'model';
}
