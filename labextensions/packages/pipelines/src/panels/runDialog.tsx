import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import { HTMLSelect } from '@jupyterlab/ui-components';
import { RJSFSchema, UiSchema } from '@rjsf/utils';
import React, { useState } from 'react';

import { Json, JsonObject, RunParameter, text } from '../document/types';
import { hintsOf } from '../model/parameters';
import { Form } from './form/Form';
import { uiOf } from './form/schema';
import { Panel, PanelContext } from './services';

/** What a run is started with. */
export interface RunChoice {
  parameters: Record<string, Json>;
  on: string;
}

/** Ask for what a run takes; null where the person thought better of it. */
export async function askRun(panel: Panel): Promise<RunChoice | null> {
  const { catalog, document, project } = panel.view;
  const [hints, on] = await Promise.all([hintsOf(document, catalog), catalog.defaultBackend(project)]);
  const body = new RunBody(panel, hints, on);
  const result = await showDialog({
    title: panel.trans.__('Run the pipeline'),
    body,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: panel.trans.__('Run') })],
    focusNodeSelector: 'input, select'
  });
  return result.button.accept ? result.value : null;
}

class RunBody extends ReactWidget implements Dialog.IBodyWidget<RunChoice> {
  constructor(
    private readonly panel: Panel,
    private readonly hints: ReadonlyMap<string, JsonObject>,
    on: string
  ) {
    super();
    this.addClass('at-RunDialog');
    const last = panel.view.live?.run;
    this.parameters = panel.view.document.parameters;
    this.data = startValues(this.parameters, last?.parameters as JsonObject | undefined);
    this.choice = { parameters: {}, on };
  }

  getValue(): RunChoice {
    const given = Object.entries(this.data).filter(([, value]) => value !== undefined && value !== '');
    return {
      ...this.choice,
      parameters: Object.fromEntries(given.map(([name, value]) => [name, read(this.parameters, name, value)]))
    };
  }

  protected override render(): React.JSX.Element {
    return (
      <PanelContext.Provider value={this.panel}>
        <RunForm
          parameters={this.parameters}
          hints={this.hints}
          data={this.data}
          on={this.choice.on}
          onData={data => (this.data = data)}
          onBackend={on => (this.choice.on = on)}
        />
      </PanelContext.Provider>
    );
  }

  private readonly parameters: RunParameter[];
  private data: JsonObject;
  private readonly choice: RunChoice;
}

/** The defaults, and what the run before was given where that is still a parameter. */
function startValues(parameters: RunParameter[], last: JsonObject | undefined): JsonObject {
  const data: JsonObject = {};
  for (const { name, type, default: value } of parameters) {
    const before = last?.[name];
    const start = before !== undefined && before !== null && before !== '' ? before : value;
    if (start !== undefined && start !== null) {
      data[name] = type === 'array' || type === 'object' ? JSON.stringify(start) : start;
    }
  }
  return data;
}

function read(parameters: RunParameter[], name: string, value: Json): Json {
  const type = parameters.find(one => one.name === name)?.type;
  if (typeof value !== 'string' || (type !== 'array' && type !== 'object')) {
    return value;
  }
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}

// A field for run-time parameters has no limits of its own, so sliders stay with the steps.
const SHOWN_AS = new Set(['code', 'textarea', 'password', 'file']);

function hintOf(one: RunParameter, hints: ReadonlyMap<string, JsonObject>): JsonObject {
  const hint = one['x-ui'] ?? hints.get(one.name) ?? {};
  const plain = one.type === 'array' || one.type === 'object';
  const widget = plain ? 'textarea' : SHOWN_AS.has(text(hint.widget)) ? hint.widget : '';
  return { ...hint, widget, picker: plain ? '' : hint.picker };
}

function schemaOf(
  parameters: RunParameter[],
  hints: ReadonlyMap<string, JsonObject>
): { schema: RJSFSchema; uiSchema: UiSchema } {
  const properties: Record<string, JsonObject> = {};
  const uiSchema: UiSchema = {};
  for (const one of parameters) {
    const { name, description } = one;
    const type = one.type === 'array' || one.type === 'object' ? 'string' : one.type;
    const schema: JsonObject = { type, title: name, description };
    for (const limit of ['enum', 'minimum', 'maximum'] as const) {
      if (one[limit] !== undefined) {
        schema[limit] = one[limit];
      }
    }
    properties[name] = schema;
    uiSchema[name] = uiOf({ ...schema, 'x-ui': hintOf(one, hints) });
  }
  const required = parameters.filter(one => one.required).map(one => one.name);
  return { schema: { type: 'object', properties, required } as RJSFSchema, uiSchema };
}

function RunForm(props: {
  parameters: RunParameter[];
  hints: ReadonlyMap<string, JsonObject>;
  data: JsonObject;
  on: string;
  onData: (data: JsonObject) => void;
  onBackend: (name: string) => void;
}): React.JSX.Element {
  const { trans, view } = React.useContext(PanelContext) as Panel;
  const [data, setData] = useState(props.data);
  const [on, setOn] = useState(props.on);
  const [{ schema, uiSchema }] = useState(() => schemaOf(props.parameters, props.hints));
  const { backends } = view.catalog;
  return (
    <>
      {props.parameters.length ? (
        <Form
          schema={schema}
          uiSchema={uiSchema}
          data={data}
          readOnly={false}
          onChange={changed => {
            const after = { ...data, ...changed };
            setData(after);
            props.onData(after);
          }}
        />
      ) : (
        <p className="at-Empty">{trans.__('This pipeline takes no run-time parameters.')}</p>
      )}
      <div className="at-Field">
        <label className="at-Field-label" htmlFor="at-run-on">
          {trans.__('Where to run')}
        </label>
        <HTMLSelect
          id="at-run-on"
          value={on}
          onChange={event => {
            setOn(event.target.value);
            props.onBackend(event.target.value);
          }}
        >
          {backends.map(one => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </HTMLSelect>
      </div>
    </>
  );
}
