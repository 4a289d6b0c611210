import { RJSFSchema, UiSchema } from '@rjsf/utils';

import { Json, JsonObject, number, object, text } from '../../document/types';
import { isPickerKind } from '../../model/offers';

/** Some parameters that belong together. */
export interface Group {
  name: string;
  schema: RJSFSchema;
  uiSchema: UiSchema;
}

/** Whether a value is a variable to be filled in when the run starts: `{{ … }}`. */
export function isVariable(value: Json): boolean {
  return typeof value === 'string' && value.includes('{{');
}

/** Whether a field of this schema can hold only text that stands for something else as a variable. */
export function isTyped(schema: JsonObject): boolean {
  return schema.type !== 'string' || Array.isArray(schema.enum);
}

/** A template's parameters in their groups and order; those in `variables` are written as text. */
export function groupsOf(parameters: JsonObject, variables: ReadonlySet<string>, otherwise: string): Group[] {
  const properties = Object.entries(object(parameters.properties)).map(
    ([name, schema]) => [name, object(schema)] as const
  );
  properties.sort(([, one], [, other]) => order(one) - order(other));
  const required = new Set(Array.isArray(parameters.required) ? parameters.required : []);
  const groups = new Map<string, Group>();
  for (const [name, schema] of properties) {
    const key = text(object(schema['x-ui']).group) || otherwise;
    const group = groups.get(key) ?? emptyGroup(key);
    groups.set(key, group);
    const shown = variables.has(name) ? asVariable(schema) : schema;
    (group.schema.properties as Record<string, unknown>)[name] = withoutHint(shown);
    group.uiSchema[name] = uiOf(shown, isTyped(schema));
    if (required.has(name)) {
      (group.schema.required as string[]).push(name);
    }
  }
  return [...groups.values()];
}

function emptyGroup(name: string): Group {
  return { name, schema: { type: 'object', properties: {}, required: [] }, uiSchema: {} };
}

function order(schema: JsonObject): number {
  return number(object(schema['x-ui']).order, 1000);
}

function asVariable(schema: JsonObject): JsonObject {
  return { type: 'string', title: schema.title, description: schema.description };
}

function withoutHint(schema: JsonObject): JsonObject {
  const rest = { ...schema };
  delete rest['x-ui'];
  return rest;
}

const WIDGETS: Readonly<Record<string, string>> = {
  text: 'text',
  textarea: 'textarea',
  code: 'code',
  select: 'select',
  radio: 'radio',
  switch: 'switch',
  range: 'slider',
  password: 'password',
  file: 'file'
};

/** How a field is shown, by its `x-ui`; the same for what is inside of it. */
export function uiOf(schema: JsonObject, canBeVariable = false): UiSchema {
  const hint = object(schema['x-ui']);
  const picker = text(hint.picker);
  const ui: UiSchema = {
    'ui:options': {
      canBeVariable,
      language: text(hint.language),
      picker,
      files: hint.widget === 'file'
    }
  };
  const widget = widgetOf(schema, picker, text(hint.widget));
  if (widget) {
    ui['ui:widget'] = widget;
  }
  for (const [name, inner] of Object.entries(object(schema.properties))) {
    ui[name] = uiOf(object(inner));
  }
  if (schema.items) {
    ui.items = uiOf(object(schema.items));
  }
  if (schema.additionalProperties) {
    ui.additionalProperties = uiOf(object(schema.additionalProperties as Json));
  }
  return ui;
}

function widgetOf(schema: JsonObject, picker: string, widget: string): string {
  if (schema.type === 'boolean') {
    return 'switch';
  }
  if (schema.type === 'array' || schema.type === 'object') {
    const items = object(schema.items);
    return schema.uniqueItems === true && (items.enum || items.oneOf) ? 'checks' : '';
  }
  if (isPickerKind(picker)) {
    return 'picker';
  }
  return picker === 'file' ? 'file' : (WIDGETS[widget] ?? '');
}

/** The value of a field for its form: what Elyra keeps as JSON text is read where the schema wants more than text. */
export function forForm(value: Json, schema: JsonObject): Json {
  if (typeof value !== 'string' || isVariable(value) || !isTyped(schema) || !schema.type) {
    return value;
  }
  if (schema.type === 'boolean') {
    return value === 'true' ? true : value === 'false' ? false : value;
  }
  if (Array.isArray(schema.enum) && schema.type === 'string') {
    return value;
  }
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}

/** The value of a field for the file: lists and objects as JSON text, which is what Elyra's fields hold. */
export function forFile(value: Json): Json {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
