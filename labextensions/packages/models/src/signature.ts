/** The signature of a model folder, as MLflow writes it. */
export type Signature = Readonly<Record<string, unknown>>;

/** One column or tensor. */
export interface Field {
  name: string;
  /** `double`, or `float32 [-1, 28, 28]` for a tensor. */
  type: string;
  required: boolean;
}

/** The fields of one side of a signature; what cannot be read is left out. */
export function fieldsOf(signature: Signature, side: 'inputs' | 'outputs' | 'params'): Field[] {
  const given = signature[side];
  return Array.isArray(given) ? given.filter(isObject).map(fieldOf) : [];
}

function fieldOf(given: Record<string, unknown>): Field {
  const tensor = given['tensor-spec'];
  return {
    name: typeof given.name === 'string' ? given.name : '',
    type: isObject(tensor) ? `${String(tensor.dtype)} ${JSON.stringify(tensor.shape)}` : String(given.type),
    required: given.required !== false && !('default' in given)
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
