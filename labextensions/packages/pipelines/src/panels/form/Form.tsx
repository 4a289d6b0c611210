import { FormComponent } from '@jupyterlab/ui-components';
import type { FormProps } from '@rjsf/core';
import { englishStringTranslator, ErrorSchema, RJSFSchema, TranslatableString, UiSchema } from '@rjsf/utils';
import validator from '@rjsf/validator-ajv8';
import React, { useId, useMemo } from 'react';

import { Json, JsonObject, object } from '../../document/types';
import { usePanel } from '../services';
import { FormContext, ParameterField } from './Field';
import { translated } from './messages';
import { ListTemplate, ObjectTemplate } from './templates';
import { WIDGETS } from './widgets';

// Lab types its form for read-only JSON alone, which the form library's own parts do not fit.
const LabForm = FormComponent as unknown as React.FunctionComponent<
  FormProps & FormComponent.ILabCustomizerProps
>;

const TEMPLATES = {
  FieldTemplate: ParameterField,
  ArrayFieldTemplate: ListTemplate,
  ObjectFieldTemplate: ObjectTemplate
};

/** A form of Lab's own kind; `onChange` hears only of fields that changed. */
export function Form(props: {
  schema: RJSFSchema;
  uiSchema: UiSchema;
  data: JsonObject;
  errors?: Readonly<Record<string, string[]>>;
  context?: FormContext;
  readOnly: boolean;
  onChange: (changed: JsonObject) => void;
}): React.JSX.Element {
  const { trans, translator } = usePanel();
  const { schema, data, errors } = props;
  const prefix = `f${useId().replace(/\W/g, '')}`;
  const extraErrors = useMemo(() => {
    const found: Record<string, { __errors: string[] }> = {};
    for (const [name, messages] of Object.entries(errors ?? {})) {
      if (name in (schema.properties ?? {})) {
        found[name] = { __errors: messages };
      }
    }
    return found as ErrorSchema;
  }, [errors, schema]);
  return (
    <LabForm
      tagName="div"
      className="at-SchemaForm"
      schema={schema}
      uiSchema={props.uiSchema}
      formData={data}
      formContext={props.context ?? { defaultFormData: {} }}
      validator={validator}
      templates={TEMPLATES}
      widgets={WIDGETS}
      liveValidate
      showErrorList={false}
      extraErrors={extraErrors}
      transformErrors={found => translated(trans, found)}
      readonly={props.readOnly}
      translator={translator}
      translateString={wordOf}
      idPrefix={prefix}
      onChange={event => {
        const after = withTexts(schema, (event.formData ?? {}) as JsonObject);
        const changed = changes(data, after);
        if (Object.keys(changed).length) {
          props.onChange(changed);
        }
      }}
    />
  );
}

/** What is added to an object of texts is empty, not the words “New Value”. */
function wordOf(text: TranslatableString, given?: string[]): string {
  return text === TranslatableString.NewStringDefault ? '' : englishStringTranslator(text, given);
}

/** A new item of a list of texts is an empty text, not nothing at all. */
function withTexts(schema: RJSFSchema, data: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => {
      const field = schema.properties?.[name] as JsonObject | undefined;
      const texts = Array.isArray(value) && object(field?.items).type === 'string';
      return [name, texts ? (value as Json[]).map(item => item ?? '') : value];
    })
  ) as JsonObject;
}

function changes(before: JsonObject, after: JsonObject): JsonObject {
  const changed: JsonObject = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[name]) !== JSON.stringify(after[name])) {
      changed[name] = after[name];
    }
  }
  return changed;
}
