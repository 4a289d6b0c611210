import { ChartOption, objectOf } from './model';

// What would let data bring markup, scripts or addresses into the page: it is content of the step, not of Lab.
const FORBIDDEN = new Set([
  'link',
  'sublink',
  'optionToContent',
  'extraCssText',
  'renderMode',
  'className',
  'appendTo',
  'appendToBody',
  'dataView'
]);

/** The ECharts option of a view's data, without anything that reaches out of the chart. */
export function optionOf(data: unknown): ChartOption {
  const given = objectOf(data);
  const option = typeof given.chart === 'string' ? drawn(given.chart, given) : given;
  const safe = objectOf(harmless(option));
  return {
    animation: false,
    aria: { enabled: true },
    backgroundColor: 'transparent',
    ...safe,
    tooltip: tooltips(safe.tooltip)
  };
}

function harmless(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(harmless);
  }
  if (typeof value === 'string') {
    return value.startsWith('image://') ? 'circle' : value;
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const kept = Object.entries(value).filter(([name]) => !FORBIDDEN.has(name));
  return Object.fromEntries(
    kept.map(([name, one]) => [name, name === 'tooltip' ? tooltips(harmless(one)) : harmless(one)])
  );
}

/** Tooltips are drawn on the chart, never as markup of the page. */
function tooltips(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(tooltips);
  }
  return { ...objectOf(value), renderMode: 'richText' };
}

function drawn(kind: string, given: Record<string, unknown>): ChartOption {
  if ('data' in given) {
    const data = Array.isArray(given.data) ? given.data : [given.data];
    return { tooltip: {}, series: [{ type: kind, data }] };
  }
  const columns = (Array.isArray(given.columns) ? given.columns : []).map(String);
  const rows = (Array.isArray(given.rows) ? given.rows : []) as unknown[][];
  const draw = KINDS[kind] ?? lines;
  return draw(kind, columns, rows);
}

type Draw = (kind: string, columns: string[], rows: unknown[][]) => ChartOption;

const number = (value: unknown): number | null => {
  const read = typeof value === 'string' && value.trim() === '' ? NaN : Number(value);
  return Number.isFinite(read) ? read : null;
};

// Above the drawing: below it are the axis and its name.
const LEGEND = { type: 'scroll', top: 0, bottom: 'auto' };
const GRID = { containLabel: true, left: 16, right: 24, bottom: 32 };
const named = (name: string): ChartOption => ({ name, nameLocation: 'middle', nameGap: 28 });

/** The first column is the axis, each other one a series. */
const lines: Draw = (kind, columns, rows) => ({
  tooltip: { trigger: 'axis' },
  legend: LEGEND,
  grid: GRID,
  xAxis: { type: 'category', ...named(columns[0]), data: rows.map(row => row[0]) },
  yAxis: { type: 'value', scale: kind === 'line' },
  series: columns.slice(1).map((name, at) => ({
    type: kind,
    name,
    data: rows.map(row => number(row[at + 1])),
    showSymbol: rows.length <= 50
  }))
});

const scatter: Draw = (kind, columns, rows) => ({
  tooltip: { trigger: 'item' },
  legend: LEGEND,
  grid: GRID,
  xAxis: { type: 'value', ...named(columns[0]), scale: true },
  yAxis: { type: 'value', scale: true },
  series: columns.slice(1).map((name, at) => ({
    type: kind,
    name,
    data: rows.map(row => [number(row[0]), number(row[at + 1])])
  }))
});

const shares: Draw = (kind, _columns, rows) => ({
  tooltip: { trigger: 'item' },
  legend: LEGEND,
  series: [{ type: kind, data: rows.map(row => ({ name: String(row[0]), value: number(row[1]) })) }]
});

const radar: Draw = (kind, columns, rows) => ({
  tooltip: {},
  legend: LEGEND,
  radar: { indicator: columns.slice(1).map(name => ({ name })) },
  series: [{ type: kind, data: rows.map(row => ({ name: String(row[0]), value: row.slice(1).map(number) })) }]
});

const heatmap: Draw = (kind, columns, rows) => {
  const values = rows.map(row => number(row[2]) ?? 0);
  return {
    tooltip: {},
    grid: { containLabel: true, left: 16, right: 24, bottom: 64 },
    xAxis: { type: 'category', name: columns[0] },
    yAxis: { type: 'category', name: columns[1] },
    visualMap: {
      min: Math.min(...values, 0),
      max: Math.max(...values, 1),
      orient: 'horizontal',
      left: 'center',
      bottom: 0,
      calculable: true
    },
    series: [{ type: kind, data: rows.map(row => [row[0], row[1], number(row[2])]) }]
  };
};

const ranges: Draw = (kind, columns, rows) => ({
  tooltip: { trigger: 'item' },
  grid: GRID,
  xAxis: { type: 'category', ...named(columns[0]), data: rows.map(row => row[0]) },
  yAxis: { type: 'value', scale: true },
  series: [{ type: kind, data: rows.map(row => row.slice(1).map(number)) }]
});

const parallel: Draw = (kind, columns, rows) => ({
  parallelAxis: columns.map((name, dim) => ({ dim, name })),
  series: [{ type: kind, data: rows.map(row => row.map(number)) }]
});

const sankey: Draw = (kind, _columns, rows) => ({
  tooltip: {},
  series: [
    {
      type: kind,
      data: [...new Set(rows.flatMap(row => [String(row[0]), String(row[1])]))].map(name => ({ name })),
      links: rows.map(row => ({ source: String(row[0]), target: String(row[1]), value: number(row[2]) ?? 1 }))
    }
  ]
});

const KINDS: Record<string, Draw> = {
  scatter,
  pie: shares,
  funnel: shares,
  gauge: shares,
  treemap: shares,
  sunburst: shares,
  radar,
  heatmap,
  candlestick: ranges,
  boxplot: ranges,
  parallel,
  sankey,
  graph: sankey
};
