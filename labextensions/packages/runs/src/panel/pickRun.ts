import { IAtelier, unwrap } from '@atelier/api';
import { agoText, stateWord } from '@atelier/ui';
import { InputDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

/** Ask for one of the newest runs; not for `except`. */
export async function pickRun(
  atelier: IAtelier,
  trans: TranslationBundle,
  title: string,
  except = ''
): Promise<string> {
  const params = { path: { project: atelier.project }, query: { limit: 50 } };
  const { items } = await unwrap(atelier.rest.GET('/projects/{project}/runs', { params }));
  const runs = items.filter(run => run.id !== except);
  const labels = runs.map(run => {
    const ago = agoText(trans, Date.parse(run.created_at), Date.now());
    return `${run.name} · ${stateWord(trans, run.state)} · ${ago} · ${run.id}`;
  });
  const answer = await InputDialog.getItem({ title, items: labels, okLabel: trans.__('Choose') });
  const at = answer.button.accept ? labels.indexOf(answer.value ?? '') : -1;
  return at < 0 ? '' : runs[at].id;
}
