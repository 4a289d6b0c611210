import { ResultView } from '@atelier/api';

/** A table as the platform sends it. */
export interface TableData {
  columns: string[];
  /** What stands in each column, as its title. */
  hints?: string[];
  rows: (string | number | null)[][];
  more: boolean;
}

/** A chart: an option of ECharts, or a kind and the table it is drawn from. */
export type ChartOption = Record<string, unknown>;

/** The table of a view; what is not one is empty. */
export function tableOf(view: ResultView): TableData {
  const data = objectOf(view.data);
  return {
    columns: Array.isArray(data.columns) ? data.columns.map(String) : [],
    rows: Array.isArray(data.rows) ? (data.rows as TableData['rows']) : [],
    more: data.more === true
  };
}

/** The metrics of a view. */
export function metricsOf(view: ResultView): [string, number][] {
  return Object.entries(objectOf(view.data)).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number'
  );
}

/** The text of a view. */
export function textOf(view: ResultView): string {
  return typeof view.data === 'string' ? view.data : JSON.stringify(view.data ?? '', null, 1);
}

/** All metrics of a step's views; where there are several views, each name has its view's title before it. */
export function allMetrics(views: readonly ResultView[]): Map<string, number> {
  const shown = views.filter(view => view.kind === 'metrics');
  const named = (view: ResultView, name: string): string =>
    shown.length > 1 && view.title ? `${view.title} · ${name}` : name;
  return new Map(
    shown.flatMap(view =>
      metricsOf(view).map(([name, value]): [string, number] => [named(view, name), value])
    )
  );
}

/** The data of a value if it is an object. */
export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
