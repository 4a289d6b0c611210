import { ApiError } from '@atelier/api';
import { IconButton } from '@atelier/ui';
import { infoIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useMemo, useState } from 'react';

import { changeNode, disconnect, withParameters } from '../../document/edits';
import { portsOf } from '../../document/ports';
import { componentParameters, inputPath, sourcesOf, unwrap, wrap } from '../../document/step';
import { Json, JsonObject, object, PipelineNode } from '../../document/types';
import { Template } from '../../model/catalog';
import { showDocs } from '../docs';
import { Form } from '../form/Form';
import { forFile, forForm, groupsOf, isTyped, isVariable } from '../form/schema';
import { Section } from '../Section';
import { usePanel } from '../services';
import { AdvancedForm } from './AdvancedForm';
import { Inputs, ValueInput } from './Inputs';
import { StepFormProps, StepHead } from './StepHead';

/** The template with its form, or why it is not there. */
function useDetail(name: string | undefined): { template: Template | null; error: string } {
  const { view, trans } = usePanel();
  const [found, setFound] = useState<{ template: Template | null; error: string }>({
    template: null,
    error: ''
  });
  useEffect(() => {
    let here = true;
    const set = (template: Template | null, error: string): void => {
      if (here) {
        setFound({ template, error });
      }
    };
    if (name) {
      view.catalog.detail(name).then(
        template => set(template, ''),
        (error: ApiError) => set(null, [error.message, error.hint].filter(Boolean).join(' '))
      );
    } else if (view.catalog.isReady) {
      set(null, trans.__('Its template is not in the catalog. The step is kept as it is.'));
    }
    return () => {
      here = false;
    };
  }, [view, trans, name]);
  return found;
}

/** The form of a step of a template. */
export function TemplateStepForm(props: StepFormProps): React.JSX.Element {
  const panel = usePanel();
  const { view, trans } = panel;
  const { node, readOnly, focus } = props;
  const summary = view.catalog.templateOf(node);
  const { template, error } = useDetail(summary?.name);
  const ports = portsOf(node, summary);
  const title = trans.__('About %1', summary?.title ?? '');
  return (
    <>
      <StepHead {...props} kind={summary ? `${summary.title} ${summary.version}` : (node.op ?? '')}>
        {summary && (
          <IconButton icon={infoIcon} label={title} onClick={() => void showDocs(panel, summary.name)} />
        )}
      </StepHead>
      {error && <p className="at-Problem">{error}</p>}
      {template && <Parameters {...props} template={template} />}
      <Section title={trans.__('Inputs')}>
        <Inputs node={node} ports={ports.inputs} readOnly={readOnly} focus={focus} />
        {template && !readOnly && (
          <ValueInput node={node} parameters={Object.keys(object(template.parameters.properties))} />
        )}
      </Section>
      <AdvancedForm {...props} template={template} />
    </>
  );
}

/** The values of a step's parameters as a form wants them, and which of them are variables. */
function valuesOf(node: PipelineNode, template: Template): { data: JsonObject; variables: Set<string> } {
  const data: JsonObject = {};
  const variables = new Set<string>();
  const given = componentParameters(node);
  for (const [name, raw] of Object.entries(object(template.parameters.properties))) {
    const schema = object(raw);
    const value = unwrap(given[name]);
    if (isTyped(schema) && isVariable(value)) {
      variables.add(name);
    }
    const shown = name in given && value !== undefined ? forForm(value, schema) : schema.default;
    if (shown !== undefined && shown !== null) {
      data[name] = shown;
    }
  }
  return { data, variables };
}

function useErrors(node: PipelineNode): Record<string, string[]> {
  const { view } = usePanel();
  const { problems } = view;
  return useMemo(() => {
    const found: Record<string, string[]> = {};
    for (const problem of problems.filter(one => one.node === node.id)) {
      (found[problem.field] ??= []).push(problem.message);
    }
    return found;
  }, [problems, node.id]);
}

function Parameters(props: StepFormProps & { template: Template }): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, template, readOnly, focus } = props;
  const [asked, setAsked] = useState<ReadonlySet<string>>(new Set());
  const { data, variables } = valuesOf(node, template);
  const shown = new Set([...variables, ...asked]);
  const key = [...shown].join();
  const groups = useMemo(
    () => groupsOf(template.parameters, shown, trans.__('Parameters')),
    [template, key, trans]
  );
  const errors = useErrors(node);
  const taken = sourcesOf(node);
  const write = (changed: JsonObject): void =>
    view.edit(
      changeNode(node.id, one => withParameters(one, wrapped(changed, object(componentParameters(one))))),
      `${node.id} ${Object.keys(changed).join()}`
    );
  const setVariable = (name: string, variable: boolean): void => {
    const others = [...asked].filter(one => one !== name);
    setAsked(new Set(variable ? [...others, name] : others));
    if (!variable && variables.has(name)) {
      view.edit(changeNode(node.id, one => withParameters(one, { [name]: undefined })));
    }
  };
  const context = { variables: shown, setVariable, focus: focus ?? '', defaultFormData: {} };
  return (
    <>
      {groups.map(group => (
        <Section
          key={group.name}
          title={group.name}
          force={!!focus && focus in (group.schema.properties as object)}
        >
          <TakenValues
            node={node}
            names={Object.keys(group.schema.properties as object)}
            readOnly={readOnly}
          />
          <Form
            schema={without(group.schema, taken)}
            uiSchema={group.uiSchema}
            data={pick(asText(data, asked), Object.keys(group.schema.properties as object), taken)}
            errors={errors}
            context={context}
            readOnly={readOnly}
            onChange={write}
          />
        </Section>
      ))}
    </>
  );
}

/** Fields that were just made variables hold text. */
function asText(data: JsonObject, asked: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [
      name,
      asked.has(name) && typeof value !== 'string' ? String(value) : value
    ])
  );
}

function wrapped(changed: JsonObject, before: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(changed).map(([name, value]): [string, Json] => {
      if (value === undefined) {
        return [name, undefined];
      }
      return [name, { ...object(before[name]), ...wrap(forFile(value)) }];
    })
  );
}

function without<T extends { properties?: object }>(schema: T, taken: ReadonlyMap<string, unknown>): T {
  if (![...taken.keys()].some(name => name in (schema.properties ?? {}))) {
    return schema;
  }
  const kept = Object.entries(schema.properties ?? {}).filter(([name]) => !taken.has(name));
  return { ...schema, properties: Object.fromEntries(kept) };
}

function pick(data: JsonObject, names: string[], taken: ReadonlyMap<string, unknown>): JsonObject {
  return Object.fromEntries(
    names.filter(name => name in data && !taken.has(name)).map(name => [name, data[name]])
  );
}

/** Parameters that come from another step, with a way to give them by hand again. */
function TakenValues(props: { node: PipelineNode; names: string[]; readOnly: boolean }): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, names, readOnly } = props;
  const rows = names.flatMap(name => {
    const source = inputPath(componentParameters(node)[name]);
    return source ? [{ name, source }] : [];
  });
  return (
    <>
      {rows.map(({ name, source }) => (
        <div key={name} className="at-Row">
          <span className="at-Row-text">
            {trans.__('%1 comes from another step: %2', name, source.output)}
          </span>
          {!readOnly && (
            <button
              className="jp-mod-styled jp-mod-minimal"
              onClick={() =>
                view.edit(
                  disconnect({
                    id: '',
                    source: source.node,
                    output: source.output,
                    target: node.id,
                    input: name
                  })
                )
              }
            >
              {trans.__('Give it here')}
            </button>
          )}
        </div>
      ))}
    </>
  );
}
