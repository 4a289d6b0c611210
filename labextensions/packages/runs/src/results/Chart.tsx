import { ErrorNotice, Loading, useTrans } from '@atelier/ui';
import type { EChartsType } from 'echarts';
import * as React from 'react';

import { ChartOption } from './model';
import { chartTheme } from './theme';

/** A chart; the drawing library is loaded when the first one is shown. */
export function Chart(props: { option: ChartOption; title: string }): JSX.Element {
  const trans = useTrans();
  const box = React.useRef<HTMLDivElement>(null);
  const [error, setError] = React.useState<unknown>(null);
  const [ready, setReady] = React.useState(false);
  const theme = useThemeName();
  React.useEffect(() => {
    let chart: EChartsType | null = null;
    let wanted = true;
    const observer = new ResizeObserver(() => chart?.resize());
    const draw = async (): Promise<void> => {
      const echarts = await import('echarts');
      if (!wanted || !box.current) {
        return;
      }
      chart = echarts.init(box.current, chartTheme());
      chart.setOption(props.option);
      observer.observe(box.current);
      setReady(true);
    };
    draw().catch(setError);
    return () => {
      wanted = false;
      observer.disconnect();
      chart?.dispose();
    };
  }, [props.option, theme]);
  return (
    <div className="at-Chart">
      {!ready && !error && <Loading />}
      <ErrorNotice error={error} />
      <div ref={box} className="at-Chart-box" role="img" aria-label={props.title || trans.__('Chart')} />
    </div>
  );
}

/** Changes when Lab's theme does. */
function useThemeName(): string {
  const read = (): string => document.body.dataset.jpThemeName ?? '';
  const [name, setName] = React.useState(read);
  React.useEffect(() => {
    const observer = new MutationObserver(() => setName(read()));
    observer.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-name'] });
    return () => observer.disconnect();
  }, []);
  return name;
}
