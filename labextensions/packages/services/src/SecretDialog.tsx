import { CopyText } from '@atelier/models';
import { useTrans, WithTrans } from '@atelier/ui';
import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** A secret, this once. */
export async function showSecret(trans: TranslationBundle, secret: string): Promise<void> {
  const body = ReactWidget.create(
    <WithTrans trans={trans}>
      <Secret secret={secret} />
    </WithTrans>
  );
  await showDialog({
    title: trans.__('The new key'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('I have copied it') })]
  });
}

function Secret({ secret }: { secret: string }): JSX.Element {
  const trans = useTrans();
  return (
    <div className="at-Form">
      <p>{trans.__('It is shown this once. Keep it where your programs find it, not in code.')}</p>
      <CopyText label={trans.__('Key')} text={secret} />
    </div>
  );
}
