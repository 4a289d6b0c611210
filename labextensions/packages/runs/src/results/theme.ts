const SERIES = [
  '--jp-brand-color1',
  '--jp-warn-color1',
  '--jp-success-color1',
  '--jp-error-color1',
  '--jp-info-color1',
  '--jp-mirror-editor-string-2-color',
  '--jp-brand-color2',
  '--jp-warn-color2',
  '--jp-success-color2'
];

/** Lab's colours and letters, as the chart library wants them. */
export function chartTheme(): Record<string, unknown> {
  const style = getComputedStyle(document.body);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  const text = read('--jp-ui-font-color1');
  const quiet = read('--at-chart-axis') || read('--jp-border-color1');
  const axis = {
    axisLine: { lineStyle: { color: quiet } },
    axisTick: { lineStyle: { color: quiet } },
    axisLabel: { color: text },
    nameTextStyle: { color: text },
    splitLine: { lineStyle: { color: read('--jp-border-color3') } }
  };
  return {
    color: SERIES.map(read),
    textStyle: { fontFamily: read('--jp-ui-font-family') },
    title: { textStyle: { color: text }, subtextStyle: { color: text } },
    legend: { textStyle: { color: text } },
    categoryAxis: axis,
    valueAxis: axis,
    logAxis: axis,
    timeAxis: axis,
    visualMap: {
      textStyle: { color: text },
      color: [read('--jp-brand-color0'), read('--jp-brand-color1'), read('--jp-brand-color3')]
    },
    tooltip: {
      backgroundColor: read('--jp-layout-color2'),
      borderColor: read('--jp-border-color1'),
      textStyle: { color: text }
    }
  };
}
