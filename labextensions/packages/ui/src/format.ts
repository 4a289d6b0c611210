import { TranslationBundle } from '@jupyterlab/translation';

/** `65 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function durationText(trans: TranslationBundle, milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 10) {
    return trans.__('%1 s', seconds.toFixed(1));
  }
  if (seconds < 100) {
    return trans.__('%1 s', String(Math.round(seconds)));
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return trans.__('%1 min %2 s', String(minutes), String(Math.floor(seconds % 60)));
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return trans.__('%1 h %2 min', String(hours), String(minutes % 60));
  }
  return trans.__('%1 d %2 h', String(Math.floor(hours / 24)), String(hours % 24));
}

/** How long ago `then` was; dates that are further away are written out. */
export function agoText(trans: TranslationBundle, then: number, now: number): string {
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 60) {
    return trans.__('just now');
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return trans.__('%1 min ago', minutes);
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return trans.__('%1 h ago', hours);
  }
  const days = Math.floor(hours / 24);
  if (days < 14) {
    return trans._n('%1 day ago', '%1 days ago', days);
  }
  return new Date(then).toLocaleDateString(pageLocale());
}

/** Date and time, written out. */
export function dateText(then: number): string {
  return new Date(then).toLocaleString(pageLocale());
}

/** `3.2 MB`; thousands, as file browsers count. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A number as short as it can be read: at most six digits that count. */
export function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) {
    return value.toLocaleString();
  }
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(4) : String(+value.toPrecision(6));
}

/** Any value of a parameter or an output, in one line. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  return typeof value === 'number' ? numberText(value) : (JSON.stringify(value) ?? '');
}

/** The language of the page, which Lab sets; else the browser's. */
function pageLocale(): string | undefined {
  return document.documentElement.lang.replace('_', '-') || undefined;
}
