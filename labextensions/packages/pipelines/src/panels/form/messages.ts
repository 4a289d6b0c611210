import { TranslationBundle } from '@jupyterlab/translation';
import { RJSFValidationError } from '@rjsf/utils';

/** What is wrong with a field, in the person's language; the validator itself speaks English only. */
export function translated(trans: TranslationBundle, errors: RJSFValidationError[]): RJSFValidationError[] {
  return errors.map(error => ({ ...error, message: sentence(trans, error) || error.message }));
}

function sentence(trans: TranslationBundle, error: RJSFValidationError): string {
  const given = (error.params ?? {}) as Record<string, unknown>;
  const limit = String(given.limit ?? '');
  switch (error.name) {
    case 'required':
      return trans.__('This is needed.');
    case 'type':
      return typeSentence(trans, String(given.type ?? ''));
    case 'enum':
      return trans.__('It must be one of: %1.', (given.allowedValues as unknown[]).map(String).join(', '));
    case 'pattern':
      return trans.__('It does not have the form %1.', String(given.pattern));
    case 'format':
      return trans.__('It is no %1.', String(given.format));
    case 'multipleOf':
      return trans.__('It must be a multiple of %1.', String(given.multipleOf));
    case 'uniqueItems':
      return trans.__('No item may be there twice.');
    default:
      return limitSentence(trans, error.name ?? '', limit);
  }
}

function typeSentence(trans: TranslationBundle, type: string): string {
  const words: Record<string, string> = {
    string: trans.__('It must be a text.'),
    number: trans.__('It must be a number.'),
    integer: trans.__('It must be a whole number.'),
    boolean: trans.__('It must be on or off.'),
    array: trans.__('It must be a list.'),
    object: trans.__('It must be an object.')
  };
  return words[type] ?? '';
}

function limitSentence(trans: TranslationBundle, name: string, limit: string): string {
  const words: Record<string, string> = {
    minimum: trans.__('It must be at least %1.', limit),
    maximum: trans.__('It must be at most %1.', limit),
    exclusiveMinimum: trans.__('It must be more than %1.', limit),
    exclusiveMaximum: trans.__('It must be less than %1.', limit),
    minLength: trans.__('It must have at least %1 characters.', limit),
    maxLength: trans.__('It must have at most %1 characters.', limit),
    minItems: trans.__('It must have at least %1 items.', limit),
    maxItems: trans.__('It must have at most %1 items.', limit)
  };
  return words[name] ?? '';
}
