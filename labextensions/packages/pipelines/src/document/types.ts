import type { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

/** Any JSON; documents are never changed in place. */
export type Json = PartialJSONValue | undefined;
export type JsonObject = PartialJSONObject;

/** Elyra's generic steps, by `op`. */
export const GENERIC_OPS: Readonly<Record<string, 'python' | 'notebook' | 'r'>> = {
  'execute-python-node': 'python',
  'execute-notebook-node': 'notebook',
  'execute-r-node': 'r'
};
export const OP_PREFIX = 'atelier-template-catalog:';
export const IN_PORT = 'inPort';
export const OUT_PORT = 'outPort';

/** An edge as the file keeps it, on the child. */
export interface Link extends JsonObject {
  id: string;
  node_id_ref: string;
  port_id_ref?: string;
}

/** An output of another step. */
export interface Source {
  node: string;
  output: string;
}

/** A node of the file: a step, or something that this release does not know and keeps. */
export interface PipelineNode extends JsonObject {
  id: string;
  type: string;
  op?: string;
  app_data?: JsonObject;
}

/** A note on the canvas. */
export interface Comment {
  id: string;
  x: number;
  y: number;
  width: number;
  height: number;
  text: string;
}

/** Where something is on the canvas. */
export interface Place {
  x: number;
  y: number;
}

/** A value that a run may be given. */
export interface RunParameter {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';
  default?: Json;
  required?: boolean;
  description?: string;
  enum?: PartialJSONValue[];
  minimum?: number;
  maximum?: number;
  /** How it is shown, as in the parameters of templates. */
  'x-ui'?: JsonObject;
}

/** The value as an object, empty where it is none. */
export function object(value: Json): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/** The value as a list of objects. */
export function objects(value: Json): JsonObject[] {
  return Array.isArray(value) ? value.filter(one => typeof one === 'object' && one !== null).map(object) : [];
}

/** The value as a text, empty where it is none. */
export function text(value: Json): string {
  return typeof value === 'string' ? value : '';
}

/** The value as a number. */
export function number(value: Json, otherwise = 0): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}
