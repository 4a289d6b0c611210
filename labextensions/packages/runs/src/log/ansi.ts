/** How a piece of text looks: class names without their prefix. */
export interface Style {
  fg: string;
  bg: string;
  bold: boolean;
  faint: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

/** A piece of a line in one style. */
export interface Span {
  text: string;
  style: Style;
}

export const PLAIN: Style = {
  fg: '',
  bg: '',
  bold: false,
  faint: false,
  italic: false,
  underline: false,
  inverse: false
};

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
// Colour and style codes; other control sequences (cursor, titles) are dropped.
// eslint-disable-next-line no-control-regex
const CODE = /\x1b(?:\[([0-9;:?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()#][0-9A-Za-z]|[=>78cDEHM])/g;

/** A line in pieces of one style, and the style after it. */
export function parse(line: string, before: Style): { spans: Span[]; after: Style } {
  if (!line.includes('\x1b')) {
    return { spans: line ? [{ text: line, style: before }] : [], after: before };
  }
  const spans: Span[] = [];
  let style = before;
  let from = 0;
  for (const code of line.matchAll(CODE)) {
    if (code.index > from) {
      spans.push({ text: line.slice(from, code.index), style });
    }
    from = code.index + code[0].length;
    if (code[2] === 'm') {
      style = changed(style, code[1]);
    }
  }
  if (from < line.length) {
    spans.push({ text: line.slice(from), style });
  }
  return { spans, after: style };
}

/** The text without its codes. */
export function plain(text: string): string {
  return text.includes('\x1b') ? text.replace(CODE, '') : text;
}

/** The class names of a style. */
export function classesOf(style: Style): string {
  const [fg, bg] = style.inverse ? [style.bg || 'inverse', style.fg || 'inverse'] : [style.fg, style.bg];
  const flags = [
    style.bold && 'bold',
    style.faint && 'faint',
    style.italic && 'italic',
    style.underline && 'underline'
  ];
  const names = [fg && `fg-${fg}`, bg && `bg-${bg}`, ...flags].filter(Boolean);
  return names.map(name => `at-ansi-${String(name)}`).join(' ');
}

function changed(style: Style, codes: string): Style {
  const numbers = codes.split(/[;:]/).map(Number);
  let next = { ...style };
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 38 || code === 48) {
      const [color, used] = extended(numbers.slice(at + 1));
      next = code === 38 ? { ...next, fg: color } : { ...next, bg: color };
      at += used;
    } else {
      next = { ...next, ...simple(code) };
    }
  }
  return next;
}

function simple(code: number): Partial<Style> {
  const flags: Record<number, Partial<Style>> = {
    0: PLAIN,
    1: { bold: true },
    2: { faint: true },
    3: { italic: true },
    4: { underline: true },
    7: { inverse: true },
    22: { bold: false, faint: false },
    23: { italic: false },
    24: { underline: false },
    27: { inverse: false },
    39: { fg: '' },
    49: { bg: '' }
  };
  if (code in flags) {
    return flags[code];
  }
  const tens = Math.floor(code / 10);
  const name = NAMES[code % 10];
  if (!name || ![3, 4, 9, 10].includes(tens)) {
    return {};
  }
  return tens === 3 || tens === 9 ? { fg: name } : { bg: name };
}

/** The nearest named colour of a 256-colour or true-colour code, and how many numbers it took. */
function extended(numbers: number[]): [string, number] {
  if (numbers[0] === 5) {
    return [indexed(numbers[1] ?? 0), 2];
  }
  if (numbers[0] === 2) {
    return [nearest(numbers[1] ?? 0, numbers[2] ?? 0, numbers[3] ?? 0), 4];
  }
  return ['', 0];
}

function indexed(index: number): string {
  if (index < 16) {
    return NAMES[index % 8];
  }
  if (index >= 232) {
    return index < 244 ? 'black' : 'white';
  }
  const level = (value: number): number => (value ? 55 + value * 40 : 0);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** The theme has eight colours that can be read; a hue comes as the one it is closest to. */
function nearest(red: number, green: number, blue: number): string {
  const most = Math.max(red, green, blue);
  if (most < 60) {
    return 'black';
  }
  const bit = (value: number): number => (value > most * 0.6 ? 1 : 0);
  return NAMES[bit(red) + 2 * bit(green) + 4 * bit(blue)];
}
