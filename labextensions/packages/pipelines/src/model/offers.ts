import { all, IAtelier, unwrap } from '@atelier/api';
import { bytesText, inWords } from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';

import { TemplateCatalog } from './catalog';

/** What a field can be picked from. */
export type PickerKind = 'dataset' | 'model' | 'image' | 'flavor' | 'secret';

/** One thing to pick: the text that is stored, what people call it, and what it is. */
export interface Offer {
  value: string;
  label: string;
  about: string;
}

const KINDS: ReadonlySet<string> = new Set<PickerKind>(['dataset', 'model', 'image', 'flavor', 'secret']);
const GIB = 1024 ** 3;
const OF_DATASET = /^dataset:([a-z][a-z0-9._-]*)@/;

/** Whether a hint's `picker` names something with a list. */
export function isPickerKind(picker: string): picker is PickerKind {
  return KINDS.has(picker);
}

/** A flavor: what one replica may have. */
export async function flavorsOf(atelier: IAtelier) {
  return (await unwrap(atelier.rest.GET('/flavors'))).items;
}

export type Flavor = Awaited<ReturnType<typeof flavorsOf>>[number];

/** What a flavor gives, in a few words. */
export function flavorText(trans: TranslationBundle, flavor: Flavor): string {
  const memory = String(+(Number(flavor.memory) / GIB).toFixed(1));
  const parts = [trans.__('%1 CPU, %2 GiB', flavor.cpu, memory)];
  if (flavor.accelerators) {
    parts.push(`${flavor.accelerators} × ${flavor.accelerator ?? ''}`);
  }
  if (flavor.cluster) {
    parts.push(trans.__('On %1 only', flavor.cluster));
  }
  return [...parts, flavor.description ?? ''].filter(Boolean).join(' · ');
}

/** Asks the platform what there is to pick, each time somebody looks. */
export class Offers {
  constructor(
    private readonly atelier: IAtelier,
    private readonly catalog: TemplateCatalog,
    private readonly trans: TranslationBundle
  ) {}

  /** What there is for a field that holds `text`; one with a `pattern` takes nothing else. */
  async find(kind: PickerKind, text: string, pattern = ''): Promise<Offer[]> {
    const found = await this.all(kind, text, pattern !== '');
    return pattern ? found.filter(offer => new RegExp(pattern, 'u').test(offer.value)) : found;
  }

  private async all(kind: PickerKind, text: string, named: boolean): Promise<Offer[]> {
    switch (kind) {
      case 'model':
        return this.models(named);
      case 'dataset':
        return this.datasets(text);
      case 'image':
        return this.images();
      case 'flavor':
        return this.flavors();
      case 'secret':
        return this.secrets();
    }
  }

  private async datasets(text: string): Promise<Offer[]> {
    const { project } = this.atelier;
    const found = await all(cursor =>
      this.atelier.rest.GET('/projects/{project}/datasets', {
        params: { path: { project }, query: { cursor, limit: 200 } }
      })
    );
    const named = OF_DATASET.exec(text)?.[1];
    const one = found.find(dataset => dataset.name === named);
    return one ? this.versions(one.name) : found.flatMap(dataset => this.ofDataset(dataset));
  }

  private ofDataset(dataset: {
    name: string;
    description: string;
    newest?: { number: number } | null;
  }): Offer[] {
    const { name, description, newest } = dataset;
    if (!newest) {
      return [];
    }
    const { trans } = this;
    const pinned = `${name}@${newest.number}`;
    return [
      { value: `dataset:${pinned}`, label: pinned, about: description || trans.__('The newest version') },
      { value: `dataset:${name}`, label: name, about: trans.__('Whichever version is the newest then') }
    ];
  }

  /** All versions, for whoever has written `dataset:name@`. */
  private async versions(dataset: string): Promise<Offer[]> {
    const path = { project: this.atelier.project, dataset };
    const found = await all(cursor =>
      this.atelier.rest.GET('/projects/{project}/datasets/{dataset}/versions', {
        params: { path, query: { cursor, limit: 200 } }
      })
    );
    return found.map(one => ({
      value: `dataset:${dataset}@${one.number}`,
      label: `${dataset}@${one.number}`,
      about: one.note || one.uri || bytesText(one.size)
    }));
  }

  /** References to versions; where a field may want the name of a model, names, too. */
  private async models(named: boolean): Promise<Offer[]> {
    const { project } = this.atelier;
    const { trans } = this;
    const found = await all(cursor =>
      this.atelier.rest.GET('/projects/{project}/models', {
        params: { path: { project }, query: { cursor, limit: 200 } }
      })
    );
    return found.flatMap(({ name, description, newest, aliases }) => {
      const offer = (value: string, label: string, about: string): Offer => ({ value, label, about });
      const references = Object.entries(aliases).map(([alias, number]) =>
        offer(`models:/${name}@${alias}`, `${name}@${alias}`, trans.__('Version %1', number))
      );
      if (newest) {
        const about = description || trans.__('The newest version');
        references.push(offer(`models:/${name}/${newest.number}`, `${name}/${newest.number}`, about));
      }
      return named ? [offer(name, name, description), ...references] : references;
    });
  }

  private async images(): Promise<Offer[]> {
    await this.catalog.load();
    const { trans } = this;
    return this.catalog.images.map(({ name, reference, description }) => ({
      value: name,
      label: name,
      about: description || reference || trans.__('Image')
    }));
  }

  private async flavors(): Promise<Offer[]> {
    const found = inWords(this.trans, await flavorsOf(this.atelier));
    return found.map(one => ({ value: one.name, label: one.name, about: flavorText(this.trans, one) }));
  }

  private async secrets(): Promise<Offer[]> {
    const path = { project: this.atelier.project };
    const found = await all(cursor =>
      this.atelier.rest.GET('/projects/{project}/secrets', {
        params: { path, query: { cursor, limit: 200 } }
      })
    );
    return found.map(one => ({
      value: one.name,
      label: one.name,
      about: this.trans.__('by %1', one.changed_by)
    }));
  }
}

/** The offers in which every word of a text stands. */
export function matching(offers: readonly Offer[], text: string): Offer[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return offers.filter(({ value, label, about }) => {
    const all = [value, label, about].join('\n').toLowerCase();
    return words.every(word => all.includes(word));
  });
}
