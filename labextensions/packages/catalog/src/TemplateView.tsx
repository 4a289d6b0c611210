import { IAtelier } from '@atelier/api';
import { ErrorNotice, Loading, useLoaded, useTrans, valueText } from '@atelier/ui';
import { IRenderMimeRegistry, MimeModel } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { loadTemplate, parametersOf, TemplateDetails } from './model';

/** One template: what it does, what it takes and what it leaves. */
export function TemplateView(props: {
  atelier: IAtelier;
  rendermime: IRenderMimeRegistry;
  name: string;
}): JSX.Element {
  const { atelier, rendermime, name } = props;
  const trans = useTrans();
  const { value, error, again } = useLoaded(() => loadTemplate(atelier, name, trans), [atelier, name]);
  if (!value) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  return (
    <div className="at-Template" tabIndex={0} role="region" aria-label={value.label || name}>
      <Head template={value} />
      <Parameters template={value} />
      <Ports template={value} />
      <Markdown rendermime={rendermime} source={body(value.readme || value.docs)} />
    </div>
  );
}

function Head({ template }: { template: TemplateDetails }): JSX.Element {
  const trans = useTrans();
  return (
    <header>
      <h2 className="at-Title">{template.label || template.name}</h2>
      <p>{template.description}</p>
      <p className="at-Quiet">
        {[template.name, template.version, template.category, trans.__('image %1', template.image)].join(
          ' · '
        )}
      </p>
    </header>
  );
}

function Parameters({ template }: { template: TemplateDetails }): JSX.Element | null {
  const trans = useTrans();
  const parameters = parametersOf(template);
  if (parameters.length === 0) {
    return null;
  }
  return (
    <>
      <h3>{trans.__('Parameters')}</h3>
      <table className="at-Facts">
        <thead>
          <tr>
            <th scope="col">{trans.__('Name')}</th>
            <th scope="col">{trans.__('Type')}</th>
            <th scope="col">{trans.__('Default')}</th>
            <th scope="col">{trans.__('Meaning')}</th>
          </tr>
        </thead>
        <tbody>
          {parameters.map(one => (
            <tr key={one.name}>
              <th scope="row">
                <code>{one.name}</code>
                {one.required && <span className="at-Tag">{trans.__('required')}</span>}
              </th>
              <td>{one.type}</td>
              <td>{one.standard === undefined ? '–' : valueText(one.standard)}</td>
              <td>{one.description || one.title}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Ports({ template }: { template: TemplateDetails }): JSX.Element | null {
  const trans = useTrans();
  const rows = [
    ...Object.entries(template.inputs).map(([name, port]) => ({ name, port, way: trans.__('Input') })),
    ...Object.entries(template.outputs).map(([name, port]) => ({ name, port, way: trans.__('Output') }))
  ];
  if (rows.length === 0) {
    return null;
  }
  return (
    <>
      <h3>{trans.__('Inputs and outputs')}</h3>
      <table className="at-Facts">
        <tbody>
          {rows.map(({ name, port, way }) => (
            <tr key={way + name}>
              <td className="at-Quiet">{way}</td>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>{port.type}</td>
              <td>{port.description}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** The text without its own title, which stands above. */
function body(source: string): string {
  return source.replace(/^\s*# .*\n/, '');
}

/** Markdown as Lab shows it, with its sanitizer. */
function Markdown({ rendermime, source }: { rendermime: IRenderMimeRegistry; source: string }): JSX.Element {
  const box = React.useRef<HTMLDivElement>(null);
  // Before the page leaves the document: a widget outside of it cannot be detached.
  React.useLayoutEffect(() => {
    if (!box.current || !source) {
      return undefined;
    }
    const renderer = rendermime.createRenderer('text/markdown');
    Widget.attach(renderer, box.current);
    void renderer.renderModel(new MimeModel({ data: { 'text/markdown': source }, trusted: false }));
    return () => renderer.dispose();
  }, [rendermime, source]);
  return <div ref={box} className="at-Markdown" />;
}
