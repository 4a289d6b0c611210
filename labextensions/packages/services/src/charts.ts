import { ChartOption } from '@atelier/runs';
import { TranslationBundle } from '@jupyterlab/translation';

import { Stats } from './model';

type Minute = Stats['revisions'][number]['minutes'][number];

/** One line of a chart: its name, and its value in a minute; null where nothing came. */
interface Line {
  name: string;
  minutes: readonly Minute[];
  read: (minute: Minute | undefined) => number | null;
}

const MINUTE = 60_000;

/** The charts of the last hour, each with its title. */
export function chartsOf(
  trans: TranslationBundle,
  stats: Stats,
  now: number
): { title: string; option: ChartOption }[] {
  const several = stats.revisions.length > 1;
  const lines = (word: string, read: Line['read']): Line[] =>
    stats.revisions.map(({ revision, minutes }) => ({
      name: several ? `${word} · ${trans.__('Revision %1', revision)}` : word,
      minutes,
      read
    }));
  const milliseconds = (seconds: number | undefined): number | null =>
    seconds === undefined ? null : seconds * 1000;
  return [
    {
      title: trans.__('Requests per second'),
      option: drawn(
        lines(trans.__('Requests'), one => (one?.requests ?? 0) / 60),
        now
      )
    },
    {
      title: trans.__('Errors per minute'),
      option: drawn(
        lines(trans.__('Errors'), one => one?.errors ?? 0),
        now
      )
    },
    {
      title: trans.__('Latency in milliseconds'),
      option: drawn(
        [...lines('p50', one => milliseconds(one?.p50)), ...lines('p99', one => milliseconds(one?.p99))],
        now
      )
    }
  ];
}

/** Sixty minutes, the last of them the one that goes on. */
function drawn(lines: Line[], now: number): ChartOption {
  const last = Math.floor(now / MINUTE) * MINUTE;
  const times = Array.from({ length: 60 }, (_, at) => last - (59 - at) * MINUTE);
  return {
    animation: false,
    aria: { enabled: true },
    backgroundColor: 'transparent',
    tooltip: { trigger: 'axis', renderMode: 'richText' },
    legend: { type: 'scroll', top: 0 },
    grid: { containLabel: true, left: 8, right: 16, top: 32, bottom: 8 },
    xAxis: { type: 'time', axisLabel: { hideOverlap: true } },
    yAxis: { type: 'value', min: 0 },
    series: lines.map(({ name, minutes, read }) => {
      const known = new Map(minutes.map(one => [Date.parse(one.at), one]));
      return {
        type: 'line',
        name,
        symbolSize: 4,
        data: times.map(time => [time, read(known.get(time))])
      };
    })
  };
}
