import { EmptyState, Loading, useTrans } from '@atelier/ui';
import * as React from 'react';

import { classesOf, Span } from './ansi';
import { LogModel } from './model';

// Browsers give up on elements that are higher than some 30 million pixels.
const HIGHEST = 8_000_000;
const SPARE = 8;

interface View {
  top: number;
  height: number;
}

/** The visible lines of a log, in a box that scrolls as if all of them were there. */
export function Rows(props: {
  model: LogModel;
  follow: boolean;
  onFollow: (follow: boolean) => void;
  shown: number;
  label: string;
}): JSX.Element {
  const { model, follow, shown } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const [view, setView] = React.useState<View>({ top: 0, height: 400 });
  const line = useLineHeight(box);
  const count = model.lines.count;
  const height = Math.min(count * line, HIGHEST);
  const place = placing(count, line, height, view);

  React.useLayoutEffect(() => {
    if (follow && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [follow, count, height]);
  React.useLayoutEffect(() => {
    if (shown >= 0 && box.current) {
      box.current.scrollTop = place.scrollTo(shown);
    }
  }, [shown]);
  useResize(box, () => setView(viewOf(box.current)));

  const onScroll = (): void => {
    const next = viewOf(box.current);
    const end = height - next.top - next.height < 2 * line;
    if (next.top < view.top - 1 && !end) {
      props.onFollow(false);
    } else if (end && next.top > view.top) {
      props.onFollow(true);
    }
    setView(next);
  };
  return (
    <div
      ref={box}
      className="at-Log-box"
      role="log"
      aria-live="off"
      aria-label={props.label}
      tabIndex={0}
      onScroll={onScroll}
    >
      <div className="at-Log-line at-Log-probe" aria-hidden="true">
        0
      </div>
      {count === 0 && !model.error && <Nothing ended={model.ended} />}
      <div className="at-Log-all" style={{ height }}>
        <div className="at-Log-lines" style={{ top: place.top }}>
          {model.lines.spans(place.first, place.last).map((spans, at) => (
            <Line
              key={place.first + at}
              spans={spans}
              number={place.first + at + 1}
              query={model.query}
              shown={place.first + at === shown}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function Nothing(props: { ended: boolean }): JSX.Element {
  const trans = useTrans();
  return props.ended ? (
    <EmptyState title={trans.__('The step wrote nothing.')} />
  ) : (
    <Loading label={trans.__('Nothing written yet…')} />
  );
}

/** Which lines to draw, and where. With very many lines the scroll bar's way stands for all of them. */
function placing(count: number, line: number, height: number, view: View) {
  const rows = Math.ceil(view.height / line);
  const scaled = height < count * line;
  const way = Math.max(1, height - view.height);
  const most = Math.max(0, count - Math.floor(view.height / line));
  const at = scaled ? (Math.min(view.top, way) / way) * most : view.top / line;
  const first = Math.max(0, Math.floor(at) - SPARE);
  return {
    first,
    last: Math.min(count, Math.floor(at) + rows + SPARE),
    top: scaled ? view.top - (at - first) * line : first * line,
    scrollTo: (target: number): number => {
      const wanted = Math.max(0, target - Math.floor(rows / 2));
      return scaled ? (Math.min(wanted, most) / Math.max(1, most)) * way : wanted * line;
    }
  };
}

const Line = React.memo(
  function Line(props: { spans: Span[]; number: number; query: string; shown: boolean }): JSX.Element {
    const { spans, query } = props;
    return (
      <div className={`at-Log-line${props.shown ? ' at-mod-shown' : ''}`}>
        <span className="at-Log-number" data-number={props.number} aria-hidden="true" />
        {(query ? marked(spans, query) : spans).map((span, at) => {
          const names = classesOf(span.style);
          const Tag = 'mark' in span && span.mark ? 'mark' : 'span';
          return (
            <Tag key={at} className={names || undefined}>
              {span.text}
            </Tag>
          );
        })}
      </div>
    );
  },
  (old, now) =>
    old.number === now.number &&
    old.query === now.query &&
    old.shown === now.shown &&
    old.spans.length === now.spans.length &&
    old.spans.every((span, at) => span.text === now.spans[at].text && span.style === now.spans[at].style)
);

/** The same pieces, cut where the searched text begins and ends. */
function marked(spans: Span[], query: string): (Span & { mark?: boolean })[] {
  const text = spans.map(span => span.text).join('');
  const lower = text.toLowerCase();
  const cuts: [number, number][] = [];
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, at + query.length)) {
    cuts.push([at, at + query.length]);
  }
  const pieces: (Span & { mark?: boolean })[] = [];
  let from = 0;
  for (const span of spans) {
    const to = from + span.text.length;
    const edges = cuts.flat().filter(edge => edge > from && edge < to);
    const points = [from, ...edges, to];
    for (let at = 0; at + 1 < points.length; at += 1) {
      const [start, end] = [points[at], points[at + 1]];
      const mark = cuts.some(([low, high]) => start >= low && end <= high);
      pieces.push({ text: text.slice(start, end), style: span.style, mark });
    }
    from = to;
  }
  return pieces;
}

function viewOf(box: HTMLDivElement | null): View {
  return { top: box?.scrollTop ?? 0, height: box?.clientHeight || 400 };
}

function useLineHeight(box: React.RefObject<HTMLDivElement>): number {
  const [line, setLine] = React.useState(17);
  const measure = (): void => {
    const probe = box.current?.querySelector('.at-Log-probe');
    const height = probe?.getBoundingClientRect().height;
    if (height) {
      setLine(height);
    }
  };
  React.useLayoutEffect(measure, []);
  useResize(box, measure);
  return line;
}

function useResize(box: React.RefObject<HTMLDivElement>, then: () => void): void {
  const latest = React.useRef(then);
  latest.current = then;
  React.useEffect(() => {
    if (!box.current) {
      return undefined;
    }
    const observer = new ResizeObserver(() => latest.current());
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
}
