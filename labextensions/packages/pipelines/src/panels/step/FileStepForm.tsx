import { TranslationBundle } from '@jupyterlab/translation';
import { RJSFSchema, UiSchema } from '@rjsf/utils';
import React, { useMemo } from 'react';

import { changeNode, withExtras, withParameters } from '../../document/edits';
import { portsOf } from '../../document/ports';
import { componentParameters, extras, genericKind, inputPath, unwrap } from '../../document/step';
import { Json, JsonObject, object, PipelineNode } from '../../document/types';
import { Form } from '../form/Form';
import { uiOf } from '../form/schema';
import { Section } from '../Section';
import { usePanel } from '../services';
import { AdvancedForm } from './AdvancedForm';
import { Inputs } from './Inputs';
import { StepFormProps, StepHead } from './StepHead';

const LISTS = new Set(['dependencies', 'outputs', 'env_vars']);

function schemaOf(trans: TranslationBundle): RJSFSchema {
  const list = (title: string, description: string): JsonObject => ({
    type: 'array',
    items: { type: 'string' },
    title,
    description
  });
  const properties: Record<string, JsonObject> = {
    filename: {
      type: 'string',
      title: trans.__('File'),
      description: trans.__('A notebook or script of the pipeline’s folder.'),
      'x-ui': { picker: 'file' }
    },
    runtime_image: { type: 'string', title: trans.__('Image'), 'x-ui': { picker: 'image' } },
    outputs: list(trans.__('Output files'), trans.__('Files that it writes and later steps may take.')),
    dependencies: list(trans.__('Files it needs'), trans.__('Names or patterns such as *.csv.')),
    env_vars: list(trans.__('Environment variables'), trans.__('Each as NAME=value.'))
  };
  return { type: 'object', required: ['filename'], properties } as RJSFSchema;
}

function uiSchemaOf(schema: RJSFSchema): UiSchema {
  const fields = Object.entries(schema.properties as Record<string, JsonObject>);
  return Object.fromEntries(fields.map(([name, one]) => [name, uiOf(one)]));
}

function dataOf(node: PipelineNode, names: string[]): JsonObject {
  const given = componentParameters(node);
  const data: JsonObject = {};
  for (const name of names) {
    const value = unwrap(given[name]);
    if (LISTS.has(name)) {
      data[name] = (Array.isArray(value) ? value : []).map(asText);
    } else if (typeof value === 'string' && value) {
      data[name] = value;
    }
  }
  return data;
}

function asText(item: Json): string {
  const pair = object(item);
  return typeof item === 'string'
    ? item
    : 'env_var' in pair
      ? `${pair.env_var}=${pair.value ?? ''}`
      : String(item);
}

/** The form of a notebook or script. */
export function FileStepForm(props: StepFormProps): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, readOnly, focus } = props;
  const schema = useMemo(() => schemaOf(trans), [trans]);
  const uiSchema = useMemo(() => uiSchemaOf(schema), [schema]);
  const kinds = {
    notebook: trans.__('Notebook'),
    python: trans.__('Python script'),
    r: trans.__('R script')
  };
  const kind = genericKind(node);
  const errors: Record<string, string[]> = {};
  for (const problem of view.problems.filter(one => one.node === node.id)) {
    (errors[problem.field] ??= []).push(problem.message);
  }
  const write = (changed: JsonObject): void =>
    view.edit(
      changeNode(node.id, one => withParameters(one, cleared(changed))),
      `${node.id} ${Object.keys(changed).join()}`
    );
  const context = { variables: new Set<string>(), setVariable: () => undefined, focus: focus ?? '' };
  return (
    <>
      <StepHead {...props} kind={kind ? kinds[kind] : ''} />
      <Section title={trans.__('File')}>
        <Form
          schema={schema}
          uiSchema={uiSchema}
          data={dataOf(node, Object.keys(schema.properties ?? {}))}
          errors={errors}
          context={context}
          readOnly={readOnly}
          onChange={write}
        />
      </Section>
      <OwnParameters {...props} />
      <Section title={trans.__('Inputs')}>
        <Inputs node={node} ports={portsOf(node, undefined).inputs} readOnly={readOnly} focus={focus} />
      </Section>
      <AdvancedForm {...props} withoutImage />
    </>
  );
}

/** Elyra wants its fields there, empty rather than missing. */
function cleared(changed: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(changed).map(([name, value]) => [name, value ?? (LISTS.has(name) ? [] : '')])
  );
}

/** The parameters that a notebook's parameters cell or a script gets, of any type. */
function OwnParameters(props: StepFormProps): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, readOnly } = props;
  const given = object(extras(node).parameters);
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => !inputPath(value)));
  const schema = useMemo(
    () =>
      ({
        type: 'object',
        description: trans.__('Numbers, lists and true or false are written as in JSON.'),
        additionalProperties: { type: 'string', default: '' }
      }) as RJSFSchema,
    [trans]
  );
  const shown = Object.fromEntries(
    Object.entries(own).map(([name, value]) => [name, written(unwrap(value))])
  );
  return (
    <Section title={trans.__('Parameters')}>
      <Form
        schema={schema}
        uiSchema={NO_UI}
        data={shown}
        readOnly={readOnly}
        onChange={changed => {
          const after = { ...given };
          for (const [name, value] of Object.entries(changed)) {
            after[name] = value === undefined ? undefined : read(String(value));
          }
          const parameters = Object.fromEntries(
            Object.entries(after).filter(([, value]) => value !== undefined)
          );
          view.edit(
            changeNode(node.id, one => withExtras(one, { parameters })),
            `${node.id} parameters`
          );
        }}
      />
    </Section>
  );
}

const NO_UI: UiSchema = {};

function written(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function read(value: string): Json {
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}
