import { TranslationBundle } from '@jupyterlab/translation';

// What a template says to people; all else in it are names and values.
const SAID = new Set(['label', 'category', 'title', 'description', 'group']);

/**
 * A template's texts in the person's language, as far as they are known; names and values stay as they are. How values
 * to choose from are called is put beside them, as Lab's forms have it.
 */
export function inWords<T>(trans: TranslationBundle, about: T): T {
  if (Array.isArray(about)) {
    return about.map(one => inWords(trans, one)) as T;
  }
  if (about === null || typeof about !== 'object') {
    return about;
  }
  const entries = Object.entries(about).map(([key, value]) => {
    const text = SAID.has(key) && typeof value === 'string' && value !== '';
    return [key, text ? trans.gettext(value) : key === 'default' ? value : inWords(trans, value)];
  });
  const said: Record<string, unknown> = Object.fromEntries(entries);
  const { enum: choices } = about as { enum?: unknown };
  if (Array.isArray(choices)) {
    said.enumNames = choices.map(one => (one === '' ? '' : trans.pgettext('choice', String(one))));
  }
  return said as T;
}
