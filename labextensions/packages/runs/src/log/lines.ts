import { parse, PLAIN, plain, Span, Style } from './ansi';

const LINES_PER_CHUNK = 1000;
const LONGEST_LINE = 8192;
const KEPT_SPLIT = 4;

interface Chunk {
  text: string;
  first: number;
  count: number;
  style: Style;
}

/**
 * The lines of a log. A full chunk is one flat string, so that 100 MB of log take 100 MB; lines are cut out when
 * they are looked at.
 */
export class LogLines {
  /** How many lines there are, the unfinished last one included. */
  get count(): number {
    return this.first + this.open.length + (this.tail ? 1 : 0);
  }

  /** Add what was written. */
  append(text: string): void {
    const lines = (this.tail + text).split('\n');
    this.tail = overwritten(lines.pop() ?? '');
    for (const line of lines) {
      this.push(overwritten(line.endsWith('\r') ? line.slice(0, -1) : line));
    }
    while (this.tail.length > LONGEST_LINE) {
      this.push(this.tail.slice(0, LONGEST_LINE));
      this.tail = this.tail.slice(LONGEST_LINE);
    }
  }

  /** The raw lines from `from` to before `to`. */
  slice(from: number, to: number): string[] {
    const found: string[] = [];
    for (let at = Math.max(0, from); at < Math.min(to, this.count); at += 1) {
      found.push(this.line(at));
    }
    return found;
  }

  /** The lines from `from` to before `to` in pieces of one style. */
  spans(from: number, to: number): Span[][] {
    let style = this.styleBefore(from);
    return this.slice(from, to).map(line => {
      const { spans, after } = parse(line, style);
      style = after;
      return spans;
    });
  }

  /** The numbers of the lines among `from`…`to` that hold `needle` (lower case), whatever their colours. */
  find(needle: string, from: number, to: number): number[] {
    const found: number[] = [];
    for (let at = from; at < to; at += 1) {
      if (plain(this.line(at)).toLowerCase().includes(needle)) {
        found.push(at);
      }
    }
    return found;
  }

  private push(line: string): void {
    for (let at = 0; at === 0 || at < line.length; at += LONGEST_LINE) {
      this.open.push(line.slice(at, at + LONGEST_LINE));
    }
    if (this.open.length >= LINES_PER_CHUNK) {
      this.close();
    }
  }

  private close(): void {
    const text = this.open.join('\n');
    this.chunks.push({ text, first: this.first, count: this.open.length, style: this.style });
    this.first += this.open.length;
    this.style = parse(text, this.style).after;
    this.open = [];
  }

  private line(at: number): string {
    if (at >= this.first) {
      return this.open[at - this.first] ?? this.tail;
    }
    const chunk = this.chunks[this.chunkOf(at)];
    return this.split(chunk)[at - chunk.first];
  }

  private split(chunk: Chunk): string[] {
    const known = this.recent.find(one => one.chunk === chunk);
    if (known) {
      return known.lines;
    }
    const lines = chunk.text.split('\n');
    this.recent = [{ chunk, lines }, ...this.recent].slice(0, KEPT_SPLIT);
    return lines;
  }

  private chunkOf(at: number): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.chunks[middle].first <= at) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  private styleBefore(at: number): Style {
    const closed = at < this.first;
    const start = closed ? this.chunks[this.chunkOf(at)] : { first: this.first, style: this.style };
    if (closed && !this.chunks[this.chunkOf(at)].text.includes('\x1b')) {
      return start.style;
    }
    return parse(this.slice(start.first, at).join('\n'), start.style).after;
  }

  private chunks: Chunk[] = [];
  private recent: { chunk: Chunk; lines: string[] }[] = [];
  private open: string[] = [];
  private first = 0;
  private style: Style = PLAIN;
  private tail = '';
}

/** What a terminal shows of a line that was written over again and again, as progress bars do. */
function overwritten(line: string): string {
  const last = line.lastIndexOf('\r', line.length - 2);
  return last < 0 ? line : line.slice(last + 1);
}
