import { Event, IAtelier, ResultView, unwrap } from '@atelier/api';
import { EmptyState, ErrorNotice, Loading, numberText, useLoaded, useTrans, WithTrans } from '@atelier/ui';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Chart } from './Chart';
import { metricsOf, tableOf, textOf } from './model';
import { optionOf } from './option';
import { Table } from './Table';

/** Which step's results to show. */
export interface ResultsViewProps {
  atelier: IAtelier;
  project: string;
  run: string;
  step: string;
  attempt?: number;
  trans?: TranslationBundle;
}

/** What a step wants to show: tables, images, text, html, charts, metrics; comes by itself when the step ends. */
export function ResultsView(props: ResultsViewProps): JSX.Element {
  return (
    <WithTrans trans={props.trans}>
      <Results {...props} />
    </WithTrans>
  );
}

function Results(props: ResultsViewProps): JSX.Element {
  const trans = useTrans();
  const { value: views, error, busy, again } = useResults(props);
  if (!views) {
    return busy && !error ? <Loading /> : <ErrorNotice error={error} retry={again} />;
  }
  if (views.length === 0) {
    return (
      <EmptyState title={trans.__('This step shows no results.')}>
        {trans.__(
          'A step that writes metric.json into $ATELIER_RESULTS shows tables, charts and images here.'
        )}
      </EmptyState>
    );
  }
  return (
    <div className="at-Results">
      <ErrorNotice error={error} retry={again} />
      {views.map((view, at) => (
        <OneResult key={at} view={view} />
      ))}
    </div>
  );
}

/** The views of a step, asked for again when the step ends. */
export function useResults(props: ResultsViewProps) {
  const { atelier, project, run, step, attempt } = props;
  const loaded = useLoaded(
    () => loadResults(atelier, project, run, step),
    [atelier, project, run, step, attempt]
  );
  const again = React.useRef(loaded.again);
  again.current = loaded.again;
  React.useEffect(() => {
    const heard = (_: unknown, event: Event): void => {
      const ended = ['step.finished', 'step.failed', 'step.stopped'].includes(event.kind);
      if (ended && event.subject === `${run}/${step}`) {
        again.current();
      }
    };
    atelier.feed.event.connect(heard);
    return () => {
      atelier.feed.event.disconnect(heard);
    };
  }, [atelier, run, step]);
  return loaded;
}

/** The views of a step. */
export async function loadResults(
  atelier: IAtelier,
  project: string,
  run: string,
  step: string
): Promise<ResultView[]> {
  const path = { project, run, step };
  const page = await unwrap(
    atelier.rest.GET('/projects/{project}/runs/{run}/steps/{step}/results', { params: { path } })
  );
  return page.items;
}

/** One view with its title. */
export const OneResult = React.memo(function OneResult(props: { view: ResultView }): JSX.Element {
  const { view } = props;
  return (
    <section className="at-Result" aria-label={view.title || view.kind}>
      {view.title && <h3 className="at-Result-title">{view.title}</h3>}
      {view.problem ? <p className="at-Result-problem">{view.problem}</p> : <Body view={view} />}
    </section>
  );
});

function Body({ view }: { view: ResultView }): JSX.Element {
  const trans = useTrans();
  const option = React.useMemo(() => optionOf(view.data), [view.data]);
  switch (view.kind) {
    case 'table':
      return <Table table={tableOf(view)} title={view.title} />;
    case 'metrics':
      return <Metrics view={view} />;
    case 'image':
      return <img className="at-Result-image" src={imageUrl(view)} alt={view.title || trans.__('Image')} />;
    case 'html':
      // Never with the page's own origin: what a step wrote must not act for the person who looks at it.
      return (
        <iframe
          className="at-Result-frame"
          sandbox="allow-scripts"
          srcDoc={textOf(view)}
          title={view.title || 'html'}
        />
      );
    case 'iframe':
      return <Page view={view} />;
    case 'echarts':
      return <Chart option={option} title={view.title} />;
    default:
      return (
        <pre className="at-Result-text" tabIndex={0}>
          {textOf(view)}
        </pre>
      );
  }
}

function Metrics({ view }: { view: ResultView }): JSX.Element {
  return (
    <dl className="at-Metrics">
      {metricsOf(view).map(([name, value]) => (
        <div key={name} className="at-Metrics-one">
          <dt title={name}>{name}</dt>
          <dd title={String(value)}>{numberText(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Page({ view }: { view: ResultView }): JSX.Element {
  const trans = useTrans();
  const url = /^https?:/i.test(textOf(view)) ? textOf(view) : 'about:blank';
  return (
    <>
      <a className="at-Link" href={url} target="_blank" rel="noopener noreferrer">
        {trans.__('Open in a new tab')}
      </a>
      <iframe
        className="at-Result-frame"
        sandbox="allow-scripts allow-forms"
        referrerPolicy="no-referrer"
        src={url}
        title={view.title || url}
      />
    </>
  );
}

function imageUrl(view: ResultView): string {
  const url = textOf(view);
  return url.startsWith('data:image/') ? url : '';
}
