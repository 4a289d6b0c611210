import {
  Ago,
  EmptyState,
  ErrorNotice,
  IconButton,
  Loading,
  refusal,
  TextButton,
  useEvents,
  useLoaded,
  useMembership,
  useTrans
} from '@atelier/ui';
import { addIcon, deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ServiceKey } from './model';
import { Parts, ServiceViewProps } from './ServiceView';

/** Who may call the service from outside: keys, whose secrets are shown once. */
export function Keys(props: ServiceViewProps & Parts): JSX.Element {
  const { client, name, model, actions } = props;
  const trans = useTrans();
  const refused = refusal(trans, useMembership(props.atelier), 'member');
  const { value, error, again } = useLoaded(() => client.keys(name), [client, name]);
  useEvents(model, event => event.subject_kind === 'service_key' && again());
  return (
    <div className="at-Pad">
      <div className="at-Line">
        <p className="at-Quiet at-Line-grow">
          {trans.__('Programs send a key as “Authorization: Bearer …”. Members of the project need none.')}
        </p>
        <TextButton
          icon={addIcon}
          label={trans.__('New key…')}
          disabled={Boolean(refused)}
          title={refused}
          onClick={() => void actions.createKey(client, name)}
        />
      </div>
      <ErrorNotice error={error} retry={again} />
      {!value && !error && <Loading />}
      {value?.length === 0 && <EmptyState title={trans.__('No keys yet')} />}
      {value && value.length > 0 && (
        <ul className="at-Items" aria-label={trans.__('Keys')}>
          {value.map(one => (
            <Key
              key={one.id}
              one={one}
              refused={refused}
              onRevoke={() => void actions.revokeKey(client, one)}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

function Key(props: { one: ServiceKey; refused: string; onRevoke: () => void }): JSX.Element {
  const { one, refused } = props;
  const trans = useTrans();
  return (
    <li className="at-Line">
      <span className="at-Line-grow">
        <span className="at-Ellipsis at-Block" title={one.id}>
          {one.name}
        </span>
        <span className="at-Quiet at-Small">
          {trans.__('by %1', one.created_by)} · <Ago at={one.created_at} /> · {scopeText(trans, one)}
          {' · '}
          {one.expires_at
            ? trans.__('until %1', new Date(one.expires_at).toLocaleString())
            : trans.__('does not expire')}
        </span>
      </span>
      <IconButton
        icon={deleteIcon}
        label={refused || trans.__('Revoke %1', one.name)}
        disabled={Boolean(refused)}
        onClick={props.onRevoke}
      />
    </li>
  );
}

function scopeText(trans: ReturnType<typeof useTrans>, one: ServiceKey): string {
  return one.services.length === 0 ? trans.__('opens all services of the project') : one.services.join(', ');
}
