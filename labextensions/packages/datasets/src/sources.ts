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
