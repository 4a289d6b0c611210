/** What the dialog knows of a service that is to be deployed. Numbers are texts, as they are typed. */
export interface Wish {
  name: string;
  /** `model`, `output` or `image`. */
  kind: Kind;
  model: string;
  output: { run: string; step: string; output: string };
  image: string;
  command: string;
  /** A model server of others, `triton` or `vllm`; empty: Atelier's own. */
  server: string;
  /** What that server is told beside its model, one word per line. */
  arguments: string;
  stage: string;
  flavor: string;
  on: string;
  minimum: string;
  maximum: string;
  canary: string;
  inFlight: string;
  /** Percent; empty: the processor does not matter. */
  cpu: string;
  idle: string;
  rate: string;
  timeout: string;
  /** Percent of the requests that are kept with their bodies. */
  kept: string;
  isPublic: boolean;
}

export type Kind = 'model' | 'output' | 'image';

type Definition = Record<string, unknown>;

/** What the dialog begins with, made of a definition: a revision's, a file's, or none. */
export function wishOf(definition: Definition): Wish {
  const replicas = objectOf(definition.replicas);
  const scale = objectOf(definition.scale);
  const limits = objectOf(definition.limits);
  const log = objectOf(definition.log);
  const canary = objectOf(definition.canary);
  const output = objectOf(definition.output);
  const text = (value: unknown, otherwise = ''): string =>
    typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise;
  const lines = (value: unknown): string => (Array.isArray(value) ? value.map(String).join('\n') : '');
  return {
    name: text(definition.name),
    kind: definition.output ? 'output' : definition.model || !definition.image ? 'model' : 'image',
    model: text(definition.model),
    output: { run: text(output.run), step: text(output.step), output: text(output.output, 'model') },
    image: text(definition.image),
    command: lines(definition.command),
    server: text(definition.server),
    arguments: lines(definition.arguments),
    stage: text(definition.stage, 'production'),
    flavor: text(definition.flavor),
    on: text(definition.on),
    minimum: text(replicas.min, '1'),
    maximum: text(replicas.max, '1'),
    canary: text(canary.percent),
    inFlight: text(scale.in_flight, '4'),
    cpu: text(scale.cpu),
    idle: text(scale.idle, '300'),
    rate: text(limits.rate, '0'),
    timeout: text(limits.timeout, '60'),
    kept: log.bodies === true ? String(100 * Number(log.sample ?? 0)) : '0',
    isPublic: definition.public === true
  };
}

/** The definition to deploy: what the dialog does not show stays as it was in `before`. */
export function definitionOf(wish: Wish, before: Definition): Definition {
  const { kind } = wish;
  const lines = (text: string): string[] => text.split('\n').filter(line => line.trim());
  const server = kind === 'image' ? '' : wish.server;
  const model = kind === 'model' ? wish.model.trim() : '';
  // A file may name for a server what the dialog does not offer; a model that is chosen takes its place.
  const other = server !== '' && kind === 'model' && !model;
  return {
    ...before,
    name: wish.name.trim(),
    model,
    server,
    arguments: server ? lines(wish.arguments) : [],
    dataset: other ? (before.dataset ?? '') : '',
    repository: other ? (before.repository ?? '') : '',
    output: kind === 'output' ? { ...objectOf(before.output), ...wish.output } : null,
    image: kind === 'image' ? wish.image.trim() : (before.image ?? ''),
    command: kind === 'image' ? lines(wish.command) : (before.command ?? []),
    stage: wish.stage,
    flavor: wish.flavor,
    on: wish.on,
    replicas: { min: Number(wish.minimum), max: Math.max(Number(wish.maximum), Number(wish.minimum)) },
    scale: {
      ...objectOf(before.scale),
      in_flight: Number(wish.inFlight),
      cpu: wish.cpu.trim() ? Number(wish.cpu) : null,
      idle: Number(wish.idle)
    },
    limits: { ...objectOf(before.limits), rate: Number(wish.rate), timeout: Number(wish.timeout) },
    canary: wish.canary.trim() ? { ...objectOf(before.canary), percent: Number(wish.canary) } : null,
    log: logOf(Number(wish.kept), objectOf(before.log)),
    public: wish.isPublic
  };
}

/** What is written down of the requests; a log without bodies stays as it was where none are wanted. */
function logOf(percent: number, before: Definition): Definition {
  if (percent > 0) {
    return { ...before, sample: percent / 100, bodies: true };
  }
  return before.bodies === true ? { ...before, sample: 0, bodies: false } : before;
}

/** A service's name made of a model's. */
export function nameOf(text: string): string {
  return text
    .replace(/^models:\//, '')
    .split(/[/@]/)[0]
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 40);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
