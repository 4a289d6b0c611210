import { componentParameters, extras, filename, genericKind, sourcesOf } from './step';
import { JsonObject, object, PipelineNode, text } from './types';

/** What a step takes or leaves. */
export interface Port {
  name: string;
  type: string;
  required: boolean;
  description: string;
}

/** What is known of a template without its form: enough to draw its steps. */
export interface TemplateSummary {
  name: string;
  version: string;
  stage: string;
  category: string;
  /** What its steps are called at first: part of files, so in no language but the template's. */
  label: string;
  /** What people read. */
  title: string;
  description: string;
  image: string;
  op: string;
  inputs: Port[];
  outputs: Port[];
}

/** All that a step takes and leaves. */
export interface Ports {
  inputs: Port[];
  outputs: Port[];
}

export const VALUE = 'value';
export const ANY = 'any';
const NOTEBOOK_OUTPUT = 'notebook';

/** Whether an output may go into an input: a value goes only where a value is taken. */
export function fits(output: string, input: string): boolean {
  return output === input || ((output === ANY || input === ANY) && output !== VALUE && input !== VALUE);
}

/** The ports of a step; connected inputs that are declared nowhere are shown, too. */
export function portsOf(node: PipelineNode, template: TemplateSummary | undefined): Ports {
  const ports = genericKind(node)
    ? genericPorts(node)
    : { inputs: [...(template?.inputs ?? [])], outputs: [...(template?.outputs ?? [])] };
  const known = new Set(ports.inputs.map(port => port.name));
  for (const name of sourcesOf(node).keys()) {
    if (!known.has(name)) {
      const type = template ? VALUE : ANY;
      ports.inputs.push({ name, type, required: false, description: '' });
    }
  }
  return ports;
}

/** Whether the input named so takes anything: the inputs of generic steps have no types. */
export function takesAnything(node: PipelineNode): boolean {
  return genericKind(node) !== '';
}

function genericPorts(node: PipelineNode): Ports {
  const kinds = object(extras(node).outputs);
  const outputs: Port[] = [];
  const add = (name: string, type: string): void => {
    if (!outputs.some(port => port.name === name)) {
      outputs.push({ name, type, required: false, description: '' });
    }
  };
  for (const file of texts(componentParameters(node).outputs)) {
    add(file, text(kinds[file]) || ANY);
  }
  if (genericKind(node) === 'notebook') {
    add(NOTEBOOK_OUTPUT, NOTEBOOK_OUTPUT);
  }
  for (const [name, type] of Object.entries(kinds)) {
    add(name, text(type) || ANY);
  }
  return { inputs: expected(node), outputs };
}

/** What the code of a generic step asks for, as it was guessed when the step was made. */
function expected(node: PipelineNode): Port[] {
  return Object.entries(object(extras(node).expects)).map(([name, type]) => ({
    name,
    type: text(type) || ANY,
    required: false,
    description: ''
  }));
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string' && !!one) : [];
}

/** The ports in a template's `inputs` or `outputs`. */
export function declaredPorts(declared: JsonObject): Port[] {
  return Object.entries(declared).map(([name, value]) => {
    const port = object(value);
    return {
      name,
      type: text(port.type) || ANY,
      required: port.required !== false,
      description: text(port.description)
    };
  });
}

/** The icon of a step goes by this: `python`, `notebook`, `r`, or `template`. */
export function kindOf(node: PipelineNode): 'python' | 'notebook' | 'r' | 'template' {
  return genericKind(node) || 'template';
}

/** The name under which a new input is taken: the output's own, made unlike those that are there. */
export function freeName(wanted: string, taken: Iterable<string>): string {
  const used = new Set(taken);
  const base = wanted.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^_+|_+$/g, '') || 'input';
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}_${count}`;
    if (!used.has(name)) {
      return name;
    }
  }
}

/** The folder of a generic step's file, from the pipeline's own folder. */
export function folderOf(node: PipelineNode): string {
  return filename(node).split('/').slice(0, -1).join('/');
}
