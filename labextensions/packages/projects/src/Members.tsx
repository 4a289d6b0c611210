import { all, IAtelier } from '@atelier/api';
import { ErrorNotice, Loading, RoleName, roleWord, useLoaded, useMembership, useTrans } from '@atelier/ui';
import { userIcon, usersIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** Who works in the project, and as what. */
export function Members({ atelier, project }: { atelier: IAtelier; project: string }): JSX.Element {
  const trans = useTrans();
  const membership = useMembership(atelier);
  const { value, error, again } = useLoaded(
    () =>
      all(cursor =>
        atelier.rest.GET('/projects/{project}/members', {
          params: { path: { project }, query: { cursor, limit: 200 } }
        })
      ),
    [project, membership.role]
  );
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <ul className="at-Items">
      {value.map(member => {
        const Icon = member.kind === 'group' ? usersIcon : userIcon;
        const kind = member.kind === 'group' ? trans.__('Group') : trans.__('Person');
        return (
          <li key={`${member.kind}:${member.name}`} className="at-Line">
            <Icon.react tag="span" title={kind} className="at-Items-icon" />
            <span className="at-Line-grow at-Ellipsis" title={member.name}>
              {member.name}
            </span>
            <span className="at-Quiet">{roleWord(trans, member.role as RoleName)}</span>
          </li>
        );
      })}
    </ul>
  );
}
