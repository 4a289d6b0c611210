import { TranslationBundle } from '@jupyterlab/translation';

import { connect, Edit } from '../document/edits';
import { isAfter } from '../document/graph';
import { ANY, fits, freeName, Port, portsOf, VALUE } from '../document/ports';
import { genericKind, nameOf, sourcesOf } from '../document/step';
import { IN_PORT, OUT_PORT, PipelineNode } from '../document/types';
import { PipelineView } from '../model/view';

/** From which port of which step to which. */
export interface Wish {
  source: string;
  output: string;
  target: string;
  input: string;
}

/** Why two ports cannot be connected, or an empty text. */
export function refusal(view: PipelineView, trans: TranslationBundle, wish: Wish): string {
  const source = view.document.node(wish.source);
  const target = view.document.node(wish.target);
  if (!source || !target) {
    return trans.__('Connect an output of a step to an input of another.');
  }
  if (wish.source === wish.target) {
    return trans.__('A step cannot take its own output.');
  }
  if (isAfter(view.document, wish.target, wish.source)) {
    return trans.__('“%1” already runs before “%2”: this would be a circle.', nameOf(target), nameOf(source));
  }
  return wish.input === IN_PORT ? '' : wrongType(view, trans, wish, source, target);
}

function wrongType(
  view: PipelineView,
  trans: TranslationBundle,
  wish: Wish,
  source: PipelineNode,
  target: PipelineNode
): string {
  if (wish.output === OUT_PORT) {
    return trans.__(
      'Only order: drop it on the upper port of “%1”, or drag from a named output.',
      nameOf(target)
    );
  }
  if (genericKind(target)) {
    return '';
  }
  const output = portNamed(view, source, 'outputs', wish.output)?.type ?? ANY;
  const input = portNamed(view, target, 'inputs', wish.input)?.type ?? VALUE;
  return fits(output, input)
    ? ''
    : trans.__('“%1” takes %2, but “%3” is %4.', wish.input, input, wish.output, output);
}

function portNamed(
  view: PipelineView,
  node: PipelineNode,
  side: 'inputs' | 'outputs',
  name: string
): Port | undefined {
  return portsOf(node, view.catalog.templateOf(node))[side].find(port => port.name === name);
}

/** The edit that makes a connection; a generic step takes what is dropped on it under a name of its own. */
export function connection(view: PipelineView, wish: Wish): Edit {
  const target = view.document.node(wish.target);
  if (wish.input === IN_PORT && wish.output !== OUT_PORT && target && genericKind(target)) {
    const name = freeName(wish.output, sourcesOf(target).keys());
    return connect(wish.target, name, { node: wish.source, output: wish.output });
  }
  return connect(wish.target, wish.input, { node: wish.source, output: wish.output });
}

/** The outputs of other steps that an input may take, nearest steps first. */
export function candidates(
  view: PipelineView,
  target: PipelineNode,
  type: string | null
): { node: PipelineNode; port: Port }[] {
  const found: { node: PipelineNode; port: Port }[] = [];
  for (const node of view.document.nodes) {
    if (node.id === target.id || isAfter(view.document, target.id, node.id)) {
      continue;
    }
    for (const port of portsOf(node, view.catalog.templateOf(node)).outputs) {
      if (type === null || fits(port.type, type)) {
        found.push({ node, port });
      }
    }
  }
  return found;
}
