import { useTrans } from '@atelier/ui';
import * as React from 'react';

import { InputDrift } from './model';

type Bin = InputDrift['bins'][number];

const HEIGHT = 44;
const BIN = 22;
const BAR = 8;

/** Two bars for each bin, the training sample's and the requests'; what a bin is and holds is said on hover. */
export function DriftChart({ input }: { input: InputDrift }): JSX.Element {
  const trans = useTrans();
  const most = Math.max(...input.bins.map(one => Math.max(one.trained, one.seen)), 0.01);
  const told = input.bins.map(one => textOf(trans, one));
  const width = BIN * input.bins.length;
  return (
    <svg
      className="at-Drift-chart"
      role="img"
      aria-label={told.join('; ')}
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
    >
      {input.bins.map((one, at) => (
        <g key={at} transform={`translate(${at * BIN}, 0)`}>
          <title>{told[at]}</title>
          <rect className="at-Drift-hover" width={BIN} height={HEIGHT} />
          <Bar kind="trained" x={2} share={one.trained / most} />
          <Bar kind="seen" x={2 + BAR} share={one.seen / most} />
        </g>
      ))}
    </svg>
  );
}

function Bar(props: { kind: 'trained' | 'seen'; x: number; share: number }): JSX.Element {
  const height = Math.max(props.share * (HEIGHT - 2), 1);
  return (
    <rect className={`at-mod-${props.kind}`} x={props.x} y={HEIGHT - height} width={BAR} height={height} />
  );
}

function textOf(trans: ReturnType<typeof useTrans>, one: Bin): string {
  const share = (value: number): string => (100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0);
  return trans.__(
    '%1: %2 % of the training sample, %3 % of the requests',
    binText(trans, one),
    share(one.trained),
    share(one.seen)
  );
}

/** What is in a bin. */
function binText(trans: ReturnType<typeof useTrans>, { kind, low, high, value }: Bin): string {
  const number = (bound: number): string => String(Number(bound.toPrecision(4)));
  switch (kind) {
    case 'missing':
      return trans.__('Missing');
    case 'other':
      return trans.__('Other values');
    case 'value':
      return value;
    case 'below':
      return `< ${number(high ?? 0)}`;
    default:
      if (low === null) {
        return high === null ? trans.__('Any number') : `≤ ${number(high)}`;
      }
      return high === null
        ? `> ${number(low)}`
        : low === high
          ? number(low)
          : `${number(low)} – ${number(high)}`;
  }
}
