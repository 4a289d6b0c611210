import { ApiError, IAtelier, LogRequest } from '@atelier/api';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { LogLines } from './lines';

const PER_FRAME = 2_000_000;
const SEARCHED_PER_FRAME = 20_000;
const MOST_MATCHES = 100_000;

/** Which attempt's log. */
export type LogOf = Omit<LogRequest, 'offset'>;

/** A log as it grows: lines are added once per frame, whatever arrives in between. */
export class LogModel implements IDisposable {
  constructor(atelier: IAtelier, of: LogOf) {
    this.reading = atelier.feed.readLog(
      { ...of, offset: 0 },
      {
        data: part => this.arrived(part.text),
        end: () => this.finish(null),
        error: error => this.finish(error)
      }
    );
  }

  readonly lines = new LogLines();

  /** Emitted at most once per frame. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether all there is has been read and nothing will follow. */
  get ended(): boolean {
    return this._ended && this.pending.length === 0;
  }

  get error(): ApiError | null {
    return this._error;
  }

  /** The lines in which the searched text stands, as far as they are known. */
  get matches(): readonly number[] {
    return this._matches;
  }

  /** Whether the search has looked at every line, or has found too many. */
  get searched(): boolean {
    return this.searchedTo >= this.whole || this._matches.length >= MOST_MATCHES;
  }

  get query(): string {
    return this._query;
  }

  /** Look for a text from the beginning on; an empty one ends the search. */
  search(text: string): void {
    this._query = text.toLowerCase();
    this._matches = [];
    this.searchedTo = 0;
    this.plan();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this.reading.dispose();
    cancelAnimationFrame(this.frame);
    Signal.clearData(this);
  }

  private arrived(text: string): void {
    this.pending.push(text);
    this.plan();
  }

  private finish(error: ApiError | null): void {
    this._ended = true;
    this._error = error;
    this.plan();
  }

  private plan(): void {
    if (!this.frame && !this._isDisposed) {
      this.frame = requestAnimationFrame(() => this.work());
    }
  }

  private work(): void {
    this.frame = 0;
    let budget = PER_FRAME;
    let taken = 0;
    while (taken < this.pending.length && budget > 0) {
      budget -= this.pending[taken].length;
      taken += 1;
    }
    if (taken) {
      this.lines.append(this.pending.splice(0, taken).join(''));
    }
    this.searchOn();
    this._changed.emit();
    if (this.pending.length || (this._query && !this.searched)) {
      this.plan();
    }
  }

  private searchOn(): void {
    if (!this._query || this.searched) {
      return;
    }
    const to = Math.min(this.whole, this.searchedTo + SEARCHED_PER_FRAME);
    const found = this.lines.find(this._query, this.searchedTo, to);
    this._matches = found.length ? [...this._matches, ...found] : this._matches;
    this.searchedTo = to;
  }

  /** How many lines are complete: the last one may still grow. */
  private get whole(): number {
    return this.ended ? this.lines.count : Math.max(0, this.lines.count - 1);
  }

  private readonly reading: IDisposable;
  private pending: string[] = [];
  private frame = 0;
  private searchedTo = 0;
  private _query = '';
  private _matches: number[] = [];
  private _ended = false;
  private _error: ApiError | null = null;
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
}
