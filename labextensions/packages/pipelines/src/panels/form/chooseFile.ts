import { FileDialog } from '@jupyterlab/filebrowser';

import { fromPipeline } from '../../model/files';
import { Panel } from '../services';

/** Let a person choose a file of the pipeline's folder; its path from there. */
export async function chooseFile(
  panel: Panel,
  accepts: (path: string) => boolean = () => true
): Promise<string> {
  const { view } = panel;
  const result = await FileDialog.getOpenFiles({
    manager: panel.documents,
    title: panel.trans.__('Choose a file'),
    defaultPath: view.context.path.split('/').slice(0, -1).join('/'),
    filter: model =>
      model.type === 'directory' || (fromPipeline(view, model.path) !== null && accepts(model.path))
        ? {}
        : null
  });
  const chosen = result.button.accept ? result.value?.[0] : undefined;
  return chosen && chosen.type !== 'directory' ? (fromPipeline(view, chosen.path) ?? '') : '';
}
