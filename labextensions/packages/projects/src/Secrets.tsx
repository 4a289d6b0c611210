import { IAtelier } from '@atelier/api';
import {
  Ago,
  askFor,
  EmptyState,
  ErrorNotice,
  IconButton,
  Loading,
  orSay,
  refusal,
  TextButton,
  useMembership,
  useSignal,
  useTrans
} from '@atelier/ui';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, deleteIcon, editIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Secret, SecretsModel } from './secrets';

/** The project's secrets by name: add, change, remove. Their values never come back. */
export function Secrets(props: { atelier: IAtelier; model: SecretsModel }): JSX.Element {
  const { model } = props;
  const trans = useTrans();
  const membership = useMembership(props.atelier);
  useSignal(model.changed);
  React.useEffect(() => model.begin(), [model]);
  const unseen = refusal(trans, membership, 'member');
  const fixed = refusal(trans, membership, 'maintainer');
  if (unseen) {
    return <EmptyState title={trans.__('Not for viewers')}>{unseen}</EmptyState>;
  }
  return (
    <div className="at-Section">
      <div className="at-Section-actions">
        <TextButton
          icon={addIcon}
          label={trans.__('Add secret')}
          disabled={Boolean(fixed)}
          title={fixed}
          onClick={() => void add(trans, model)}
        />
      </div>
      {fixed && <p className="at-Quiet at-Section-note">{fixed}</p>}
      <ErrorNotice error={model.error} retry={() => void model.load()} />
      <List model={model} fixed={fixed} />
    </div>
  );
}

function List({ model, fixed }: { model: SecretsModel; fixed: string }): JSX.Element | null {
  const trans = useTrans();
  if (!model.items) {
    return model.error ? null : <Loading />;
  }
  if (model.items.length === 0) {
    return (
      <EmptyState title={trans.__('No secrets yet')}>
        {trans.__(
          'Keep passwords and keys here; steps name them in their definition and get them as variables.'
        )}
      </EmptyState>
    );
  }
  return (
    <ul className="at-Items">
      {model.items.map(secret => (
        <li key={secret.name} className="at-Line">
          <span className="at-Line-grow">
            <span className="at-Ellipsis at-Block" title={secret.name}>
              {secret.name}
            </span>
            <span className="at-Quiet at-Small at-Ellipsis at-Block">
              {trans.__('by %1', secret.changed_by)} · <Ago at={secret.changed_at} />
            </span>
          </span>
          <IconButton
            icon={editIcon}
            label={fixed || trans.__('Change %1', secret.name)}
            disabled={Boolean(fixed)}
            onClick={() => void change(trans, model, secret)}
          />
          <IconButton
            icon={deleteIcon}
            label={fixed || trans.__('Remove %1', secret.name)}
            disabled={Boolean(fixed)}
            onClick={() => void remove(trans, model, secret)}
          />
        </li>
      ))}
    </ul>
  );
}

async function add(trans: TranslationBundle, model: SecretsModel): Promise<void> {
  const title = trans.__('Add a secret');
  const values = await askFor(trans, title, trans.__('Add'), [
    {
      name: 'name',
      label: trans.__('Name'),
      help: trans.__('Letters, digits, “_”, “.” and “-”; steps see it by this name.')
    },
    {
      name: 'value',
      label: trans.__('Value'),
      help: trans.__('It is stored encrypted and is never shown again.'),
      secret: true
    }
  ]);
  if (values) {
    await orSay(title, () => model.add(values.name.trim(), values.value));
  }
}

async function change(trans: TranslationBundle, model: SecretsModel, secret: Secret): Promise<void> {
  const title = trans.__('Change %1', secret.name);
  const values = await askFor(trans, title, trans.__('Change'), [
    {
      name: 'value',
      label: trans.__('New value'),
      help: trans.__('Runs that begin from now on get it.'),
      secret: true
    }
  ]);
  if (values) {
    await orSay(title, () => model.change(secret, values.value));
  }
}

async function remove(trans: TranslationBundle, model: SecretsModel, secret: Secret): Promise<void> {
  const title = trans.__('Remove %1?', secret.name);
  const answer = await showDialog({
    title,
    body: trans.__('Steps that need it fail from now on. Its value cannot be brought back.'),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep') }),
      Dialog.warnButton({ label: trans.__('Remove') })
    ]
  });
  if (answer.button.accept) {
    await orSay(title, () => model.remove(secret));
  }
}
