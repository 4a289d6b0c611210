import { ApiError, IAtelier } from '@atelier/api';
import { ISignal, Signal } from '@lumino/signaling';

export type TransferState = 'reading' | 'sending' | 'done' | 'failed' | 'cancelled';

/** A version on its way, however it is sent. */
export interface Transfer {
  readonly name: string;
  /** Bytes of all files together. */
  readonly total: number;
  /** Bytes that are done of what the state says. */
  readonly at: number;
  readonly state: TransferState;
  readonly error: unknown;
  readonly changed: ISignal<Transfer, void>;
  /** Begin, or go on after a failure. */
  run(): Promise<void>;
  cancel(): void;
}

/** What of the workspace becomes a version of which dataset. */
export interface WorkspaceVersion {
  path: string;
  name: string;
  project: string;
  description: string;
  tags: string[];
  /** Whether the dataset must not be there yet. */
  new: boolean;
}

interface Sending {
  id: string;
  state: TransferState;
  sent: number;
  size: number;
  error: { message: string; code: string; hint: string } | null;
}

const LOOK = 500;
const TRIES = 20;

/** Files of the workspace: the server that has them sends them, and is asked how far it is while it does. */
export class WorkspaceTransfer implements Transfer {
  constructor(
    private readonly atelier: IAtelier,
    private readonly wanted: WorkspaceVersion
  ) {
    this.name = wanted.name;
  }

  readonly name: string;
  total = 0;
  at = 0;
  state: TransferState = 'reading';
  error: unknown = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Ask the server to begin; throws where it refuses. */
  async begin(): Promise<void> {
    this.take(await this.atelier.local<Sending>('local/dataset', this.wanted));
  }

  async run(): Promise<void> {
    try {
      if (this.state === 'failed') {
        this.wanted.new = false;
        await this.begin();
      }
      await this.follow();
    } catch (error) {
      if (this.state !== 'cancelled') {
        this.error = error;
        this.set('failed');
      }
    }
  }

  cancel(): void {
    const going = this.state === 'reading' || this.state === 'sending';
    this.set('cancelled');
    if (going) {
      void this.atelier.local('local/dataset/cancel', { id: this.id }).catch(() => undefined);
    }
  }

  private async follow(): Promise<void> {
    let tries = 0;
    while (this.state === 'reading' || this.state === 'sending') {
      await new Promise(resolve => window.setTimeout(resolve, LOOK));
      try {
        this.take(await this.atelier.local<Sending>(`local/dataset?id=${this.id}`));
        tries = 0;
      } catch (error) {
        tries += 1;
        if (error instanceof ApiError || tries === TRIES) {
          throw error;
        }
      }
    }
  }

  private take(sending: Sending): void {
    if (this.state === 'cancelled') {
      return;
    }
    this.id = sending.id;
    this.at = sending.sent;
    this.total = sending.size;
    this.error = sending.error ? ApiError.from(sending.error, 0) : null;
    this.set(sending.state);
  }

  private set(state: TransferState): void {
    this.state = state;
    this._changed.emit();
  }

  private id = '';
  private readonly _changed = new Signal<this, void>(this);
}
