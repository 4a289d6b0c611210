import { Event, IAtelier } from '@atelier/api';
import { ISignal, Signal } from '@lumino/signaling';
import * as React from 'react';

import { Retry } from './retry';

// Something that changes says much at once: one look after it is enough.
const GATHER = 200;

/** What of one kind is in the current project, kept up to date by the events about it; asked for once somebody looks. */
export abstract class LiveList<T> {
  /** `kinds`: what events that are passed on are about; the first is the kind of the items. */
  constructor(
    protected readonly atelier: IAtelier,
    kinds: readonly string[]
  ) {
    atelier.feed.event.connect((_, event) => kinds.includes(event.subject_kind) && this.heard(event));
    atelier.feed.begun.connect(() => void this.load());
    atelier.projectChanged.connect(() => {
      this.items = null;
      this._changed.emit();
      void this.load();
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Every event about such things, of all projects. */
  get event(): ISignal<this, Event> {
    return this._event;
  }

  /** None until they are there. */
  items: readonly T[] | null = null;
  error: unknown = null;

  /** All of the current project. */
  protected abstract list(): Promise<T[]>;

  /** Ask, once somebody looks. */
  begin(): void {
    if (!this.wanted) {
      this.wanted = true;
      void this.load();
    }
  }

  async load(): Promise<void> {
    if (!this.wanted || !this.atelier.project) {
      return;
    }
    const turn = ++this.turn;
    let [items, error]: [readonly T[] | null, unknown] = [this.items, null];
    try {
      items = await this.list();
    } catch (reason) {
      error = reason;
    }
    // An answer to an older question, perhaps about another project, says nothing any more.
    if (turn === this.turn) {
      this.items = items;
      this.error = error;
      this.retry.told(error);
      this._changed.emit();
    }
  }

  private heard(event: Event): void {
    this._event.emit(event);
    if (event.project === this.atelier.project && this.wanted) {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.load(), GATHER);
    }
  }

  protected readonly _changed = new Signal<this, void>(this);
  private wanted = false;
  private turn = 0;
  private readonly retry = new Retry(() => void this.load());
  private timer = 0;
  private readonly _event = new Signal<this, Event>(this);
}

/** Hand each event of a list to `heard`, as it is at that moment. */
export function useEvents<T>(list: LiveList<T>, heard: (event: Event) => void): void {
  const latest = React.useRef(heard);
  latest.current = heard;
  React.useEffect(() => {
    const slot = (_: unknown, event: Event): void => latest.current(event);
    list.event.connect(slot);
    return () => {
      list.event.disconnect(slot);
    };
  }, [list]);
}
