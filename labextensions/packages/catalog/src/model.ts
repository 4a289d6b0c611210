import { IAtelier, unwrap } from '@atelier/api';
import { inWords } from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';

/** The templates that pipelines may use. */
export async function loadTemplates(atelier: IAtelier, trans: TranslationBundle) {
  return inWords(trans, (await unwrap(atelier.rest.GET('/templates'))).items);
}

/** One template with its parameters and its description. */
export async function loadTemplate(atelier: IAtelier, name: string, trans: TranslationBundle) {
  const params = { path: { name }, query: { language: atelier.language } };
  return inWords(trans, await unwrap(atelier.rest.GET('/templates/{name}', { params })));
}

/** The images that steps may run in. */
export async function loadImages(atelier: IAtelier, trans: TranslationBundle) {
  return inWords(trans, (await unwrap(atelier.rest.GET('/images'))).items);
}

/** What one replica may have. */
export async function loadFlavors(atelier: IAtelier, trans: TranslationBundle) {
  return inWords(trans, (await unwrap(atelier.rest.GET('/flavors'))).items);
}

export type Template = Awaited<ReturnType<typeof loadTemplates>>[number];
export type TemplateDetails = Awaited<ReturnType<typeof loadTemplate>>;

/** Whether each word of `query` stands in one of the texts. */
export function fits(query: string, texts: string[]): boolean {
  const all = texts.join('\n').toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every(word => all.includes(word));
}

/** A parameter as it stands in a table. */
export interface Parameter {
  name: string;
  title: string;
  type: string;
  standard: unknown;
  description: string;
  required: boolean;
}

/** The parameters of a template's JSON Schema, in its order. */
export function parametersOf(template: TemplateDetails): Parameter[] {
  const schema = template.parameters as {
    properties?: Record<string, Record<string, unknown>>;
    required?: string[];
  };
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return Object.entries(schema.properties ?? {}).map(([name, field]) => ({
    name,
    title: text(field.title),
    type: Array.isArray(field.enum) ? field.enum.join(' | ') : text(field.type),
    standard: field.default,
    description: text(field.description),
    required: schema.required?.includes(name) ?? false
  }));
}
