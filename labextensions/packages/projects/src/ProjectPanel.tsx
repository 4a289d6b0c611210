import { IAtelier } from '@atelier/api';
import {
  ErrorNotice,
  IconButton,
  Loading,
  roleWord,
  Tabs,
  useMembership,
  useSignal,
  useTrans
} from '@atelier/ui';
import { addIcon, HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Members } from './Members';
import { ProjectsModel } from './model';
import { Secrets } from './Secrets';
import { SecretsModel } from './secrets';

/** The current project: which one, its secrets and its members. */
export function ProjectPanel(props: {
  atelier: IAtelier;
  projects: ProjectsModel;
  secrets: SecretsModel;
  onCreate: () => void;
}): JSX.Element {
  const { atelier, projects } = props;
  const trans = useTrans();
  const membership = useMembership(atelier);
  const [tab, setTab] = React.useState('secrets');
  useSignal(projects.changed);
  React.useEffect(() => void projects.load(), [projects]);
  const { project } = atelier;
  if (!project) {
    return <Loading />;
  }
  const names = projects.projects.map(one => one.name);
  const options = names.includes(project) ? names : [project, ...names];
  const tabs = [
    { id: 'secrets', label: trans.__('Secrets') },
    { id: 'members', label: trans.__('Members') }
  ];
  return (
    <>
      <div className="at-Panel-bar">
        <HTMLSelect
          className="at-Line-grow"
          aria-label={trans.__('Project')}
          value={project}
          options={options}
          onChange={event => {
            atelier.project = event.target.value;
          }}
        />
        <IconButton icon={addIcon} label={trans.__('New project')} onClick={props.onCreate} />
      </div>
      <ErrorNotice error={projects.error} retry={() => void projects.load(true)} />
      <div className="at-Project-facts at-Quiet">
        {membership.role && <p>{trans.__('Your role: %1', roleWord(trans, membership.role))}</p>}
        <p>
          {projects.current?.description ||
            (projects.current?.personal ? trans.__('Your personal project') : '')}
        </p>
      </div>
      <Tabs label={trans.__('Project')} tabs={tabs} current={tab} onChange={setTab}>
        {tab === 'secrets' && <Secrets key={project} atelier={atelier} model={props.secrets} />}
        {tab === 'members' && <Members atelier={atelier} project={project} />}
      </Tabs>
    </>
  );
}
