import { ApiError } from '@atelier/api';

const SHORTEST = 2000;
const LONGEST = 30_000;

/** Does something again while the platform is away: soon, then more and more rarely. */
export class Retry {
  constructor(private readonly work: () => void) {}

  /** What came of a try; null where it worked. Only what may be otherwise later is tried again. */
  told(error: unknown): void {
    window.clearTimeout(this.timer);
    if (error instanceof ApiError && error.away) {
      this.timer = window.setTimeout(this.work, this.wait * (0.75 + Math.random() / 2));
      this.wait = Math.min(this.wait * 2, LONGEST);
    } else {
      this.wait = SHORTEST;
    }
  }

  stop(): void {
    window.clearTimeout(this.timer);
  }

  private timer = 0;
  private wait = SHORTEST;
}
