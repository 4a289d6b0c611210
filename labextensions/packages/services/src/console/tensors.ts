/** An input or output as the inference protocol describes it; -1 in a shape is any size. */
export interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
}

/** What a model says of itself. */
export interface Metadata {
  inputs: Tensor[];
  outputs: Tensor[];
}

/** One cell of the form, as it was typed. */
export type Row = Record<string, string>;

/** What is wrong with what was typed, in the words of the person. */
export class BadValue extends Error {
  constructor(
    readonly input: string,
    readonly row: number
  ) {
    super(input);
  }
}

/** The metadata in an answer; nothing if it is none. */
export function metadataOf(body: unknown): Metadata | null {
  const given = body as { inputs?: unknown; outputs?: unknown } | null;
  const inputs = tensorsOf(given?.inputs);
  return inputs.length ? { inputs, outputs: tensorsOf(given?.outputs) } : null;
}

function tensorsOf(given: unknown): Tensor[] {
  const isTensor = (one: unknown): one is Tensor => {
    const { name, datatype, shape } = (one ?? {}) as Partial<Tensor>;
    return typeof name === 'string' && typeof datatype === 'string' && Array.isArray(shape);
  };
  return Array.isArray(given) ? given.filter(isTensor) : [];
}

/** Whether the inputs are the columns of a table: each one value per row. */
export function isTable({ inputs }: Metadata): boolean {
  return inputs.every(({ shape }) => shape[0] === -1 && shape.slice(1).every(size => size === 1));
}

/** Width and height where an input, or all columns together, may be an image; `channels` is 1 or 3. */
export interface Picture {
  width: number;
  height: number;
  channels: number;
  /** Whether the channels come before the rows. */
  first: boolean;
}

/** How an image can be made into the inputs; nothing where it cannot. */
export function pictureOf(metadata: Metadata): Picture | null {
  const { inputs } = metadata;
  if (isTable(metadata)) {
    const side = Math.sqrt(inputs.length);
    const fits = inputs.length >= 16 && Number.isInteger(side) && inputs.every(isNumber);
    return fits ? { width: side, height: side, channels: 1, first: false } : null;
  }
  return inputs.length === 1 && isNumber(inputs[0]) ? pictureIn(inputs[0].shape.slice(1)) : null;
}

function pictureIn(shape: number[]): Picture | null {
  if (shape.length === 1) {
    const side = Math.sqrt(shape[0]);
    const fits = shape[0] >= 16 && Number.isInteger(side);
    return fits ? { width: side, height: side, channels: 1, first: false } : null;
  }
  const [one, two, three = 1] = shape;
  if (shape.length === 2 && one >= 4 && two >= 4) {
    return { height: one, width: two, channels: 1, first: false };
  }
  if (shape.length !== 3) {
    return null;
  }
  if ([1, 3].includes(one) && two >= 4 && three >= 4) {
    return { channels: one, height: two, width: three, first: true };
  }
  return [1, 3].includes(three) && one >= 4 && two >= 4
    ? { height: one, width: two, channels: three, first: false }
    : null;
}

/** Whether an input takes numbers. */
export function isNumber({ datatype }: Tensor): boolean {
  return /^(FP|INT|UINT)/.test(datatype);
}

/** The request for rows of a table. */
export function tableRequest({ inputs }: Metadata, rows: Row[]): unknown {
  return {
    inputs: inputs.map(input => ({
      name: input.name,
      datatype: input.datatype,
      shape: [rows.length, ...input.shape.slice(1)],
      data: rows.map((row, at) => valueOf(input, row[input.name] ?? '', at))
    }))
  };
}

/** The request for tensors whose data are typed as JSON. */
export function tensorRequest({ inputs }: Metadata, data: Record<string, string>): unknown {
  return {
    inputs: inputs.map(input => {
      const values = flat(JSON.parse(data[input.name] || '[]'));
      return {
        name: input.name,
        datatype: input.datatype,
        shape: shapeOf(input, values.length),
        data: values
      };
    })
  };
}

/** The shape with its free sizes worked out: the first takes what is left. */
export function shapeOf({ shape }: Tensor, count: number): number[] {
  const known = shape.reduce((product, size) => (size > 0 ? product * size : product), 1);
  let free = Math.max(1, Math.round(count / known));
  return shape.map(size => {
    if (size >= 0) {
      return size;
    }
    const here = free;
    free = 1;
    return here;
  });
}

function flat(value: unknown): unknown[] {
  return Array.isArray(value) ? value.flatMap(flat) : [value];
}

function valueOf(input: Tensor, text: string, row: number): unknown {
  if (input.datatype === 'BOOL') {
    return text === 'true';
  }
  if (!isNumber(input)) {
    return text;
  }
  const value = text.trim() === '' ? NaN : Number(text);
  const whole = !input.datatype.startsWith('FP');
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    throw new BadValue(input.name, row + 1);
  }
  return value;
}

/** The answer as a table: a column for each output, or for each of its parts; a row for each row that was asked. */
export function answerTable(body: unknown): { columns: string[]; rows: (string | number | null)[][] } | null {
  const given = (body as { outputs?: unknown } | null)?.outputs;
  if (!Array.isArray(given) || given.length === 0) {
    return null;
  }
  const outputs = tensorsOf(given) as (Tensor & { data?: unknown })[];
  const count = outputs[0]?.shape[0] ?? 0;
  const columns: string[] = [];
  const rows: (string | number | null)[][] = Array.from({ length: count }, () => []);
  for (const { name, shape, data } of outputs) {
    const values = flat(data ?? []);
    const width = shape.slice(1).reduce((product, size) => product * size, 1);
    for (let part = 0; part < width; part += 1) {
      columns.push(width === 1 ? name || 'output' : `${name || 'output'}[${part}]`);
      rows.forEach((row, at) => row.push(cellOf(values[at * width + part])));
    }
  }
  return { columns, rows };
}

function cellOf(value: unknown): string | number | null {
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value ?? null);
}
