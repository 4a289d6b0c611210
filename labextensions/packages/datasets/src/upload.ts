import { ApiError, IAtelier, unwrap } from '@atelier/api';
import { ISignal, Signal } from '@lumino/signaling';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

import { Source } from './sources';
import { Transfer, TransferState } from './transfer';

const READ = 4 * 1024 ** 2;
const PIECE = 8 * 1024 ** 2;
const AT_ONCE = 1000;
const TRIES = 6;

/** A file as a version names it. */
export interface Stored {
  path: string;
  size: number;
  digest: string;
}

/**
 * Sends files in pieces. What has arrived stays: after a failure `run` goes on where it stopped, and the same files
 * chosen once more, in another tab or another week, go on there, too.
 */
export class Upload implements Transfer {
  constructor(
    private readonly atelier: IAtelier,
    private readonly project: string,
    readonly name: string,
    private readonly sources: Source[],
    private readonly finish: (files: Stored[]) => Promise<unknown>
  ) {
    this.total = sources.reduce((sum, source) => sum + source.bytes.size, 0);
  }

  /** Bytes of all files together. */
  readonly total: number;
  /** Bytes that have been read for their digests, then bytes that have arrived. */
  at = 0;
  state: TransferState = 'reading';
  error: unknown = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Begin, or go on after a failure. */
  async run(): Promise<void> {
    this.error = null;
    try {
      this.files ??= await this.digests();
      await this.send(this.files);
      await this.finish(this.files);
      this.set('done');
    } catch (error) {
      if (this.state !== 'cancelled') {
        this.error = error;
        this.set('failed');
      }
    }
  }

  /** Stop; what has arrived is kept for a while. */
  cancel(): void {
    this.set('cancelled');
  }

  private async digests(): Promise<Stored[]> {
    this.set('reading');
    const files: Stored[] = [];
    this.at = 0;
    for (const { path, bytes } of this.sources) {
      files.push({ path, size: bytes.size, digest: `sha256:${await this.digest(bytes)}` });
    }
    return files;
  }

  /** In parts, so that the page goes on, whatever the size. */
  private async digest(bytes: Blob): Promise<string> {
    const hash = sha256.create();
    for (let from = 0; from < bytes.size; from += READ) {
      const part = bytes.slice(from, from + READ);
      hash.update(new Uint8Array(await part.arrayBuffer()));
      this.advance(part.size);
    }
    return bytesToHex(hash.digest());
  }

  private async send(files: Stored[]): Promise<void> {
    this.at = 0;
    this.set('sending');
    for (let from = 0; from < files.length; from += AT_ONCE) {
      await this.sendSome(files.slice(from, from + AT_ONCE), from);
    }
  }

  private async sendSome(files: Stored[], first: number): Promise<void> {
    const params = { path: { project: this.project } };
    const body = { files: files.map(({ digest, size }) => ({ digest, size })) };
    const begun = await unwrap(this.atelier.rest.POST('/projects/{project}/uploads', { params, body }));
    for (const [at, upload] of begun.items.entries()) {
      const { bytes } = this.sources[first + at];
      this.advance(upload.done ? bytes.size : upload.received);
      if (!upload.done) {
        await this.sendFile(upload.id, bytes, upload.received);
      }
    }
  }

  private async sendFile(upload: string, bytes: Blob, from: number): Promise<void> {
    let at = from;
    do {
      const next = await this.sendPiece(upload, bytes.slice(at, at + PIECE), at);
      this.advance(next - at);
      at = next;
    } while (at < bytes.size);
  }

  /** One piece, again after a while where the platform is away; returns where to go on. */
  private async sendPiece(upload: string, piece: Blob, offset: number): Promise<number> {
    const path = { project: this.project, upload };
    for (let wait = 500, tries = 1; ; wait *= 2, tries += 1) {
      try {
        const answer = this.atelier.rest.PUT('/projects/{project}/uploads/{upload}', {
          params: { path, query: { offset } },
          headers: { 'Content-Type': 'application/octet-stream' },
          // Bytes as they are: the description of the interface has no type for them.
          body: piece as never,
          bodySerializer: (bytes: unknown) => bytes
        });
        return (await unwrap(answer)).received;
      } catch (error) {
        if (!(error instanceof ApiError) || !(error.away || error.status === 409) || tries === TRIES) {
          throw error;
        }
        await new Promise(resolve => window.setTimeout(resolve, wait));
        const where = await this.received(path).catch(() => offset);
        if (where !== offset) {
          return where;
        }
      }
    }
  }

  private async received(path: { project: string; upload: string }): Promise<number> {
    return (await unwrap(this.atelier.rest.GET('/projects/{project}/uploads/{upload}', { params: { path } })))
      .received;
  }

  private advance(bytes: number): void {
    if (this.state === 'cancelled') {
      throw new Error('cancelled');
    }
    this.at += bytes;
    this._changed.emit();
  }

  private set(state: TransferState): void {
    this.state = state;
    this._changed.emit();
  }

  private files: Stored[] | undefined;
  private readonly _changed = new Signal<this, void>(this);
}
