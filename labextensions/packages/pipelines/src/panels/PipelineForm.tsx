import { RJSFSchema, UiSchema } from '@rjsf/utils';
import { TranslationBundle } from '@jupyterlab/translation';
import React, { useMemo } from 'react';

import { PipelineDocument } from '../document/document';
import { changeExtras, changeProperties } from '../document/edits';
import { Json, JsonObject, object, objects, text } from '../document/types';
import { FieldFocus } from '../model/view';
import { Form } from './form/Form';
import { uiOf } from './form/schema';
import { Section } from './Section';
import { usePanel } from './services';

function schemaOf(trans: TranslationBundle): RJSFSchema {
  return {
    type: 'object',
    properties: {
      name: { type: 'string', title: trans.__('Name') },
      description: { type: 'string', title: trans.__('Description') },
      timeout: {
        type: 'string',
        title: trans.__('Timeout'),
        description: trans.__('How long a run may take: 90s, 10m, 2h; empty means no limit.')
      },
      parallelism: {
        type: 'integer',
        minimum: 0,
        title: trans.__('Steps at once'),
        description: trans.__('0 means as many as there is room for.')
      },
      environment: {
        type: 'string',
        title: trans.__('Global environment'),
        description: trans.__('KEY=value, one on a line; {{ KEY }} is its value.')
      }
    }
  };
}

function parametersSchema(trans: TranslationBundle): RJSFSchema {
  return {
    type: 'array',
    items: {
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string', title: trans.__('Name'), pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
        type: {
          type: 'string',
          title: trans.__('Type'),
          enum: ['string', 'integer', 'number', 'boolean', 'array', 'object'],
          default: 'string'
        },
        default: { type: 'string', title: trans.__('Default') },
        required: { type: 'boolean', title: trans.__('Required') },
        description: { type: 'string', title: trans.__('Description') }
      }
    }
  };
}

const OWN: UiSchema = {
  name: uiOf({ type: 'string' }),
  description: uiOf({ type: 'string', 'x-ui': { widget: 'textarea' } }),
  timeout: uiOf({ type: 'string' }),
  parallelism: uiOf({ type: 'integer' }),
  environment: uiOf({ type: 'string', 'x-ui': { widget: 'code', language: 'ini' } })
};
const PARAMETERS: UiSchema = {
  parameters: {
    'ui:options': { label: false },
    items: Object.fromEntries(['name', 'type', 'default', 'required', 'description'].map(ui))
  }
};

function ui(name: string): [string, UiSchema] {
  return [name, uiOf({ type: name === 'required' ? 'boolean' : 'string' })];
}

/** The pipeline's own settings. */
export function PipelineForm(props: {
  document: PipelineDocument;
  readOnly: boolean;
  focus: FieldFocus;
}): React.JSX.Element {
  const { view, trans } = usePanel();
  const { document, readOnly, focus } = props;
  const schema = useMemo(() => schemaOf(trans), [trans]);
  const list = useMemo(
    () => ({ type: 'object', properties: { parameters: parametersSchema(trans) } }) as RJSFSchema,
    [trans]
  );
  const context = {
    variables: new Set<string>(),
    setVariable: () => undefined,
    focus: focus.node ? '' : focus.field
  };
  return (
    <>
      <div className="at-Inspector-head">
        <div className="at-Inspector-kind">{trans.__('Pipeline')}</div>
        <p className="at-Inspector-hint">{trans.__('Select a step to see its settings.')}</p>
      </div>
      <Section title={trans.__('Pipeline')}>
        <Form
          schema={schema}
          uiSchema={OWN}
          data={dataOf(document)}
          context={context}
          readOnly={readOnly}
          onChange={changed => write(view.edit.bind(view), changed)}
        />
      </Section>
      <Section title={trans.__('Run-time parameters')}>
        <Form
          schema={list}
          uiSchema={PARAMETERS}
          data={{ parameters: objects(document.extras.parameters).map(shown) }}
          readOnly={readOnly}
          onChange={changed =>
            view.edit(
              changeExtras({ parameters: objects(changed.parameters).map(stored) }),
              'pipeline parameters'
            )
          }
        />
      </Section>
    </>
  );
}

function dataOf(document: PipelineDocument): JsonObject {
  const { extras, properties } = document;
  const environment = extras.environment;
  const data: JsonObject = {
    name: text(properties.name) || undefined,
    description: text(properties.description) || undefined,
    timeout: extras.timeout ? String(extras.timeout) : undefined,
    parallelism: extras.parallelism,
    environment: Array.isArray(environment)
      ? environment.join('\n')
      : typeof environment === 'object'
        ? Object.entries(object(environment))
            .map(([key, value]) => `${key}=${String(value)}`)
            .join('\n')
        : environment
  };
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
}

function write(
  edit: (change: ReturnType<typeof changeExtras>, key: string) => void,
  changed: JsonObject
): void {
  for (const [name, value] of Object.entries(changed)) {
    const change =
      name === 'name' || name === 'description'
        ? changeProperties({ [name]: value ?? (name === 'name' ? '' : undefined) })
        : changeExtras({ [name]: value });
    edit(change, `pipeline ${name}`);
  }
}

/** A parameter's default as text, whatever its type. */
function shown(parameter: JsonObject): JsonObject {
  const value = parameter.default;
  const written =
    value === undefined || value === null || typeof value === 'string' ? value : JSON.stringify(value);
  return Object.fromEntries(
    Object.entries({ ...parameter, default: written ?? undefined }).filter(([, one]) => one !== undefined)
  );
}

function stored(parameter: JsonObject): JsonObject {
  const value = parameter.default;
  const read = typeof value === 'string' && parameter.type !== 'string' ? parsed(value) : value;
  return Object.fromEntries(
    Object.entries({ ...parameter, default: read }).filter(([, one]) => one !== undefined)
  );
}

function parsed(value: string): Json {
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}
