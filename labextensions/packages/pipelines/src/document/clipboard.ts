import { UUID } from '@lumino/coreutils';

import { PipelineDocument } from './document';
import { addComments, addNodes, Edit, rawComments, remove } from './edits';
import { appData, nameOf } from './step';
import { JsonObject, number, object, objects, PipelineNode, Place, text } from './types';

const MIME = 'application/vnd.atelier.steps+json';

/** Steps and comments on their way to another place, or another file. */
export interface Clip {
  nodes: PipelineNode[];
  comments: JsonObject[];
}

/** What is selected, as text for the clipboard; what it takes from other steps is left out. */
export function copy(document: PipelineDocument, ids: ReadonlySet<string>): string {
  const others = new Set(document.nodes.map(node => node.id).filter(id => !ids.has(id)));
  const alone = remove(others)(document);
  const comments = rawComments(document).filter(comment => ids.has(text(comment.id)));
  return JSON.stringify({ type: MIME, nodes: alone.nodes, comments });
}

/** The clip in a text, or null where it holds none. */
export function readClip(source: string): Clip | null {
  try {
    const raw = object(JSON.parse(source) as JsonObject);
    return raw.type === MIME
      ? { nodes: objects(raw.nodes) as PipelineNode[], comments: objects(raw.comments) }
      : null;
  } catch {
    return null;
  }
}

/** Add a clip with new ids and names of its own, `at` a place or a little beside where it was. */
export function paste(clip: Clip, at: Place | null): { edit: Edit; ids: Set<string> } {
  const renamed = new Map([...clip.nodes, ...clip.comments].map(one => [text(one.id), UUID.uuid4()]));
  const shift = shiftTo(clip, at);
  const fresh = replaceIds(clip, renamed);
  const edit: Edit = document => {
    const taken = new Set(document.nodes.map(nameOf));
    const nodes = fresh.nodes.map(node => moved(unlike(node, taken), shift));
    const comments = fresh.comments.map(comment => ({
      ...comment,
      x_pos: number(comment.x_pos) + shift.x,
      y_pos: number(comment.y_pos) + shift.y
    }));
    return addComments(comments)(addNodes(nodes)(document));
  };
  return { edit, ids: new Set(renamed.values()) };
}

function shiftTo(clip: Clip, at: Place | null): Place {
  if (!at) {
    return { x: 40, y: 40 };
  }
  const places = [...clip.nodes.map(node => object(appData(node).ui_data)), ...clip.comments];
  const left = Math.min(...places.map(place => number(place.x_pos)));
  const top = Math.min(...places.map(place => number(place.y_pos)));
  return { x: at.x - left, y: at.y - top };
}

function replaceIds(clip: Clip, renamed: ReadonlyMap<string, string>): Clip {
  const replaced = JSON.stringify(clip, (_key, value: unknown) =>
    typeof value === 'string' ? (renamed.get(value) ?? value) : value
  );
  return JSON.parse(replaced) as Clip;
}

function moved(node: PipelineNode, shift: Place): PipelineNode {
  const data = appData(node);
  const ui = object(data.ui_data);
  const ui_data = { ...ui, x_pos: number(ui.x_pos) + shift.x, y_pos: number(ui.y_pos) + shift.y };
  return { ...node, app_data: { ...data, ui_data } };
}

function unlike(node: PipelineNode, taken: Set<string>): PipelineNode {
  const label = freeLabel(nameOf(node), taken);
  taken.add(label);
  const data = appData(node);
  const ours = object(data.atelier);
  const atelier = text(ours.name) ? { atelier: { ...ours, name: label } } : {};
  return { ...node, app_data: { ...data, ...atelier, label, ui_data: { ...object(data.ui_data), label } } };
}

/** A name for a step that no other has: `train`, `train 2`, … */
export function freeLabel(wanted: string, taken: ReadonlySet<string>): string {
  const base = wanted.replace(/ \d+$/, '') || wanted;
  let name = wanted;
  for (let count = 2; taken.has(name); count++) {
    name = `${base} ${count}`;
  }
  return name;
}
