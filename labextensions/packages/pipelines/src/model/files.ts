import { ApiError } from '@atelier/api';
import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';

import { isStepFile } from '../document/create';
import { Json, JsonObject, Place } from '../document/types';
import { addFile } from './actions';
import { PipelineView } from './view';

/** What the server reads out of a notebook's or script's code. */
export interface Guess {
  inputs: { name: string; type: string }[];
  outputs: { name: string; type: string }[];
  parameters: { name: string; type: string; default: Json; description: string }[];
  files: { always_written: string[] };
  problems: string[];
}

/** Add files of the workspace as steps; what they take and leave is guessed from their code. */
export async function addFiles(
  view: PipelineView,
  paths: readonly string[],
  at: Place | null
): Promise<void> {
  let place = at;
  for (const path of paths.filter(isStepFile)) {
    const filename = fromPipeline(view, path);
    if (filename === null) {
      Notification.warning(
        `${path} is not in the pipeline's folder, so its steps cannot see it. Copy it beside the pipeline.`,
        { autoClose: 8000 }
      );
      continue;
    }
    addFile(view, { filename, image: defaultImage(view, path), ...(await guessed(view, path)) }, place);
    place = place && { x: place.x + 30, y: place.y + 90 };
  }
}

/** The file's path from the pipeline's own folder, or null where it lies outside. */
export function fromPipeline(view: PipelineView, path: string): string | null {
  const folder = PathExt.dirname(view.context.localPath);
  const plain = path.replace(/^[^:/]+:/, '').replace(/^\/+/, '');
  if (!folder) {
    return plain;
  }
  return plain.startsWith(`${folder}/`) ? plain.slice(folder.length + 1) : null;
}

function defaultImage(view: PipelineView, path: string): string {
  const { images } = view.catalog;
  const wanted = path.toLowerCase().endsWith('.r') ? 'r' : 'ml';
  const found = images.find(one => one.name === wanted) ?? (wanted === 'r' ? undefined : images[0]);
  return found?.reference || found?.name || '';
}

async function guessed(
  view: PipelineView,
  path: string
): Promise<{ outputs?: string[]; atelier?: JsonObject }> {
  try {
    const guess = await view.atelier.local<Guess>('local/ports', { path });
    return { outputs: guess.files.always_written, atelier: extrasOf(guess) };
  } catch (error) {
    if (error instanceof ApiError) {
      Notification.warning(error.hint ? `${error.message} ${error.hint}` : error.message, {
        autoClose: 8000
      });
      return {};
    }
    throw error;
  }
}

function extrasOf(guess: Guess): JsonObject {
  const byType = (ports: Guess['inputs']): JsonObject =>
    Object.fromEntries(ports.map(port => [port.name, port.type]));
  const known = guess.parameters.filter(one => one.default !== null && one.default !== undefined);
  const found: JsonObject = {
    expects: byType(guess.inputs),
    outputs: byType(guess.outputs),
    parameters: Object.fromEntries(known.map(one => [one.name, one.default]))
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Object.keys(value as object).length));
}
