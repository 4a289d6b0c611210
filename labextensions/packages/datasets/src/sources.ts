import { Contents, ServerConnection } from '@jupyterlab/services';

/** A file that is to be sent: its place in the dataset, and its bytes. */
export interface Source {
  path: string;
  bytes: Blob;
}

/** Files that were chosen on the person's own computer; those of a folder keep their places in it. */
export function fromComputer(files: FileList): Source[] {
  return [...files].map(file => {
    const place = file.webkitRelativePath.split('/').slice(1).join('/');
    return { path: place || file.name, bytes: file };
  });
}

/** A file or a folder of the workspace. */
export async function fromWorkspace(contents: Contents.IManager, path: string): Promise<Source[]> {
  const model = await contents.get(path, { content: false });
  const files = model.type === 'directory' ? await below(contents, path) : [model];
  const base = model.type === 'directory' ? path.length + 1 : path.length - model.name.length;
  return Promise.all(
    files.map(async file => ({ path: file.path.slice(base), bytes: await read(contents, file.path) }))
  );
}

async function below(contents: Contents.IManager, path: string): Promise<Contents.IModel[]> {
  const folder = await contents.get(path, { content: true });
  const entries = folder.content as Contents.IModel[];
  const found = await Promise.all(
    entries.map(entry => (entry.type === 'directory' ? below(contents, entry.path) : [entry]))
  );
  return found.flat();
}

async function read(contents: Contents.IManager, path: string): Promise<Blob> {
  const settings = ServerConnection.makeSettings();
  const answer = await ServerConnection.makeRequest(await contents.getDownloadUrl(path), {}, settings);
  if (!answer.ok) {
    throw await ServerConnection.ResponseError.create(answer);
  }
  return answer.blob();
}
