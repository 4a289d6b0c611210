import { IAtelier, unwrap } from '@atelier/api';
import { ModelsClient } from '@atelier/models';

/** What the dialog offers to choose from. */
export interface Offer {
  /** References to models: by alias, and by the newest number. */
  models: { reference: string; approved: boolean }[];
  flavors: { name: string; description: string }[];
  backends: string[];
  /** Those of them that are clusters. */
  clusters: string[];
}

/** Ask for all of it. */
export async function loadOffer(atelier: IAtelier, project: string): Promise<Offer> {
  const [models, flavors, backends] = await Promise.all([
    new ModelsClient(atelier, project).list(),
    unwrap(atelier.rest.GET('/flavors')),
    unwrap(atelier.rest.GET('/backends'))
  ]);
  return {
    models: models.flatMap(({ name, aliases, newest }) => [
      ...Object.entries(aliases).map(([alias, number]) => ({
        reference: `models:/${name}@${alias}`,
        approved: number === newest?.number ? Boolean(newest.approval) : alias === 'production'
      })),
      ...(newest
        ? [{ reference: `models:/${name}/${newest.number}`, approved: Boolean(newest.approval) }]
        : [])
    ]),
    flavors: flavors.items.map(({ name, description }) => ({ name, description })),
    backends: backends.items.map(one => one.name),
    clusters: backends.items.filter(one => one.kind !== 'local').map(one => one.name)
  };
}
