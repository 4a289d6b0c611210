import { copy, paste, readClip } from '../document/clipboard';
import { emptyFileNode, FileStep, fileNode, newComment, templateNode } from '../document/create';
import { addComments, addNodes, remove } from '../document/edits';
import { edgesOf } from '../document/graph';
import { TemplateSummary } from '../document/ports';
import { placeOf } from '../document/step';
import { PipelineNode, Place, text } from '../document/types';
import { PipelineView } from './view';

let lastClip = '';

/** What is selected, as text for the clipboard; empty where nothing is. */
export function copySelection(view: PipelineView): string {
  lastClip = view.selection.ids.size ? copy(view.document, view.selection.ids) : '';
  return lastClip;
}

/** The same, and it goes. */
export function cutSelection(view: PipelineView): string {
  const clip = copySelection(view);
  if (clip) {
    deleteSelection(view);
  }
  return clip;
}

/** Add what is in a text; without one, what was copied last. Whether there was anything. */
export function pasteText(view: PipelineView, source: string | null, at: Place | null): boolean {
  const clip = readClip(source ?? lastClip);
  if (!clip || view.readOnly) {
    return false;
  }
  const { edit, ids } = paste(clip, at);
  view.edit(edit);
  view.select(ids);
  return true;
}

/** Take away what is selected. */
export function deleteSelection(view: PipelineView): void {
  const edges = view.selectedEdges;
  view.edit(remove(view.selection.ids, edges));
  view.selection = { ids: new Set(), edges: [] };
}

/** Select all steps. */
export function selectAll(view: PipelineView): void {
  view.selection = {
    ids: new Set(view.document.nodes.map(node => node.id)),
    edges: edgesOf(view.document).map(edge => edge.id)
  };
}

/** A place that is free: right of what is selected, else of everything. */
export function freePlace(view: PipelineView): Place {
  const { nodes } = view.document;
  const selected = nodes.filter(node => view.selection.ids.has(node.id));
  const around = (selected.length ? selected : nodes).map(placeOf);
  if (!around.length) {
    return { x: 80, y: 80 };
  }
  const x = Math.max(...around.map(place => place.x)) + 260;
  const taken = nodes.map(placeOf);
  let y = Math.min(...around.map(place => place.y));
  while (taken.some(place => Math.abs(place.x - x) < 220 && Math.abs(place.y - y) < 110)) {
    y += 120;
  }
  return { x, y };
}

function add(view: PipelineView, node: PipelineNode): string {
  view.edit(addNodes([node]));
  view.select([node.id]);
  return node.id;
}

/** Add a step of a template; the answer is its id. */
export function addTemplate(view: PipelineView, template: TemplateSummary, at: Place | null): string {
  return add(view, templateNode(view.document, template, at ?? freePlace(view)));
}

/** Add a generic step without a file. */
export function addGeneric(view: PipelineView, op: string, label: string, at: Place | null): string {
  return add(view, emptyFileNode(view.document, op, label, at ?? freePlace(view)));
}

/** Add a step that runs a file. */
export function addFile(view: PipelineView, file: FileStep, at: Place | null): string {
  return add(view, fileNode(view.document, file, at ?? freePlace(view)));
}

/** Add an empty comment. */
export function addComment(view: PipelineView, at: Place | null): void {
  const comment = newComment(at ?? freePlace(view));
  view.edit(addComments([comment]));
  view.select([text(comment.id)]);
}
