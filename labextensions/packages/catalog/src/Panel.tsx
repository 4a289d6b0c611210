import { IAtelier } from '@atelier/api';
import {
  EmptyState,
  ErrorNotice,
  Loading,
  RowList,
  SearchInput,
  Tabs,
  templatesIcon,
  useLoaded,
  useTrans
} from '@atelier/ui';
import * as React from 'react';

import { fits, loadFlavors, loadImages, loadTemplates, Template } from './model';

/** What the platform offers to pipelines. */
export function CatalogPanel(props: { atelier: IAtelier; onOpen: (template: string) => void }): JSX.Element {
  const trans = useTrans();
  const [tab, setTab] = React.useState('templates');
  const tabs = [
    { id: 'templates', label: trans.__('Templates') },
    { id: 'images', label: trans.__('Images') },
    { id: 'flavors', label: trans.__('Flavors') }
  ];
  return (
    <Tabs label={trans.__('Catalog')} tabs={tabs} current={tab} onChange={setTab}>
      {tab === 'templates' && <Templates {...props} />}
      {tab === 'images' && <Images atelier={props.atelier} />}
      {tab === 'flavors' && <Flavors atelier={props.atelier} />}
    </Tabs>
  );
}

function Templates(props: { atelier: IAtelier; onOpen: (template: string) => void }): JSX.Element {
  const trans = useTrans();
  const [query, setQuery] = React.useState('');
  const { value, error, again } = useLoaded(() => loadTemplates(props.atelier, trans), [props.atelier]);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const shown = value.filter(one => fits(query, [one.name, one.label, one.category, one.description]));
  return (
    <>
      <div className="at-Panel-bar">
        <SearchInput label={trans.__('Search templates')} onChange={setQuery} />
      </div>
      <RowList
        label={trans.__('Templates')}
        items={shown}
        idOf={one => one.name}
        nameOf={one => one.label || one.name}
        draw={one => <TemplateRow template={one} />}
        onOpen={one => props.onOpen(one.name)}
        footer={shown.length ? null : <EmptyState title={trans.__('No template fits the search.')} />}
      />
    </>
  );
}

function TemplateRow({ template }: { template: Template }): JSX.Element {
  const trans = useTrans();
  return (
    <>
      <div className="at-Line">
        <templatesIcon.react tag="span" className="at-Items-icon" aria-hidden="true" />
        <span className="at-Line-grow at-Ellipsis" title={template.name}>
          {template.label || template.name}
        </span>
        {template.stage === 'alpha' && <span className="at-Tag">{trans.__('Alpha')}</span>}
        <span className="at-Quiet at-Small">{template.version}</span>
      </div>
      <div className="at-Quiet at-Small at-Clamp" title={template.description}>
        {template.description}
      </div>
    </>
  );
}

function Images({ atelier }: { atelier: IAtelier }): JSX.Element {
  const trans = useTrans();
  const { value, error, again } = useLoaded(() => loadImages(atelier, trans), [atelier]);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <>
      <Fixed />
      <ul className="at-Items">
        {value.map(image => (
          <li key={image.name} className="at-Item">
            <span className="at-Line">
              <span className="at-Line-grow at-Ellipsis" title={image.name}>
                {image.name}
              </span>
              {image.python && <span className="at-Quiet at-Small">Python {image.python}</span>}
            </span>
            <span className="at-Quiet at-Small at-Clamp" title={image.reference}>
              {image.description || image.reference}
            </span>
            {image.cluster_only && <span className="at-Quiet at-Small">{trans.__('On a cluster only')}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function Flavors({ atelier }: { atelier: IAtelier }): JSX.Element {
  const trans = useTrans();
  const { value, error, again } = useLoaded(() => loadFlavors(atelier, trans), [atelier]);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <>
      <Fixed />
      <ul className="at-Items">
        {value.map(flavor => (
          <li key={flavor.name} className="at-Item">
            <span className="at-Line">
              <span className="at-Line-grow at-Ellipsis">{flavor.name}</span>
              <span className="at-Quiet at-Small">
                {trans.__('%1 CPU, %2 GiB', flavor.cpu, gib(flavor.memory))}
                {flavor.accelerators ? ` · ${flavor.accelerators} × ${flavor.accelerator}` : ''}
              </span>
            </span>
            <span className="at-Quiet at-Small at-Clamp">{flavor.description}</span>
            {flavor.cluster && (
              <span className="at-Quiet at-Small">{trans.__('On %1 only', flavor.cluster)}</span>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function gib(memory: number | string): string {
  return String(+(Number(memory) / 1024 ** 3).toFixed(1));
}

function Fixed(): JSX.Element {
  const trans = useTrans();
  return <p className="at-Quiet at-Item">{trans.__('Whoever runs the platform configures these.')}</p>;
}
