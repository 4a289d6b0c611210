import { TranslationBundle } from '@jupyterlab/translation';
import { RJSFSchema, UiSchema } from '@rjsf/utils';
import React, { useMemo } from 'react';

import { changeNode, withExtras } from '../../document/edits';
import { extras } from '../../document/step';
import { Json, JsonObject, object } from '../../document/types';
import { Template } from '../../model/catalog';
import { Form } from '../form/Form';
import { uiOf } from '../form/schema';
import { Section } from '../Section';
import { usePanel } from '../services';
import { FlavorChoice } from './FlavorChoice';
import { StepFormProps } from './StepHead';

/** Where a field of the form is kept in `app_data.atelier`. */
const PLACES: Readonly<Record<string, [string, string?]>> = {
  image: ['image'],
  cpu: ['resources', 'cpu'],
  memory: ['resources', 'memory'],
  accelerators: ['resources', 'accelerators'],
  replicas: ['replicas'],
  topology: ['topology'],
  limit: ['retry', 'limit'],
  causes: ['retry', 'causes'],
  timeout: ['timeout'],
  env: ['env'],
  secrets: ['secrets']
};

/** What the control plane takes where neither file nor template says anything. */
const DEFAULTS: JsonObject = { replicas: 1, topology: 'single', limit: 2, causes: ['infrastructure'] };

function schemaOf(trans: TranslationBundle, withImage: boolean): RJSFSchema {
  const properties: Record<string, JsonObject> = {
    image: {
      type: 'string',
      title: trans.__('Image'),
      description: trans.__('Another image than the template says.'),
      'x-ui': { picker: 'image' }
    },
    cpu: { type: 'number', exclusiveMinimum: 0, title: trans.__('CPU cores') },
    memory: { type: 'string', title: trans.__('Memory'), description: trans.__('For example 512Mi or 4Gi.') },
    accelerators: { type: 'integer', minimum: 0, title: trans.__('GPUs') },
    replicas: { type: 'integer', minimum: 1, maximum: 1000, title: trans.__('Replicas') },
    topology: {
      type: 'string',
      title: trans.__('Replicas run'),
      oneOf: [
        { const: 'single', title: trans.__('Each by itself') },
        { const: 'gang', title: trans.__('Together, and know of each other') }
      ]
    },
    limit: {
      type: 'integer',
      minimum: 0,
      maximum: 20,
      title: trans.__('Retries'),
      description: trans.__('How often it is tried again at most.')
    },
    causes: {
      type: 'array',
      title: trans.__('Tried again after'),
      uniqueItems: true,
      items: {
        type: 'string',
        oneOf: [
          { const: 'infrastructure', title: trans.__('A failure of the platform') },
          { const: 'user', title: trans.__('An error of the step') },
          { const: 'timeout', title: trans.__('The end of its time') }
        ]
      }
    },
    timeout: {
      type: 'string',
      title: trans.__('Timeout'),
      description: trans.__('For example 90s, 10m or 2h.')
    },
    env: {
      type: 'object',
      title: trans.__('Environment variables'),
      additionalProperties: { type: 'string', default: '' }
    },
    secrets: {
      type: 'object',
      title: trans.__('Secrets: variable and name of the secret'),
      additionalProperties: { type: 'string', default: '', 'x-ui': { picker: 'secret' } }
    }
  };
  if (!withImage) {
    delete properties.image;
  }
  return { type: 'object', properties } as RJSFSchema;
}

/** An empty field shows what the template says. */
function uiSchemaOf(schema: RJSFSchema, base: JsonObject): UiSchema {
  const fields = Object.entries(schema.properties as Record<string, JsonObject>);
  return Object.fromEntries(
    fields.map(([name, one]) => {
      const value = valueAt(base, name) ?? DEFAULTS[name] ?? '';
      const shown = typeof value === 'object' || one.oneOf ? '' : String(value);
      return [name, { ...uiOf(one), 'ui:placeholder': shown }];
    })
  );
}

function valueAt(from: JsonObject, name: string): Json | undefined {
  const [field, inner] = PLACES[name];
  return inner ? object(from[field])[inner] : from[field];
}

function dataOf(ours: JsonObject, base: JsonObject): JsonObject {
  const data: JsonObject = {
    topology: valueAt(base, 'topology') ?? DEFAULTS.topology,
    causes: valueAt(base, 'causes') ?? DEFAULTS.causes
  };
  for (const name of Object.keys(PLACES)) {
    const value = valueAt(ours, name);
    if (value !== undefined && value !== null) {
      data[name] = name === 'timeout' || name === 'memory' ? String(value) : value;
    }
  }
  return data;
}

function placed(ours: JsonObject, changed: JsonObject): JsonObject {
  const fields: JsonObject = {};
  for (const [name, value] of Object.entries(changed)) {
    const [field, inner] = PLACES[name];
    const merged = inner ? { ...object(fields[field] ?? ours[field]), [inner]: value } : value;
    fields[field] = empty(merged) ? undefined : merged;
  }
  return fields;
}

function empty(value: Json): boolean {
  return (
    value === '' ||
    (typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every(one => one === undefined))
  );
}

const NOTHING: JsonObject = {};

const FOCUSES = new Set([...Object.keys(PLACES), 'resources', 'retry']);

/** What a step needs and how often it is tried: the same for every kind of step. */
export function AdvancedForm(
  props: StepFormProps & { template?: Template | null; withoutImage?: boolean }
): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, readOnly, focus, template, withoutImage } = props;
  const base = template?.settings ?? NOTHING;
  const schema = useMemo(() => schemaOf(trans, !withoutImage), [trans, withoutImage]);
  const uiSchema = useMemo(() => uiSchemaOf(schema, base), [schema, base]);
  const write = (changed: JsonObject): void =>
    view.edit(
      changeNode(node.id, one => withExtras(one, placed(extras(one), changed))),
      `${node.id} ${Object.keys(changed).join()}`
    );
  return (
    <Section
      title={trans.__('Resources and retries')}
      closed
      force={!!focus && FOCUSES.has(focus.split('.')[0])}
    >
      {!readOnly && <FlavorChoice node={node} />}
      <Form
        schema={schema}
        uiSchema={uiSchema}
        data={dataOf(extras(node), base)}
        readOnly={readOnly}
        onChange={write}
      />
    </Section>
  );
}
