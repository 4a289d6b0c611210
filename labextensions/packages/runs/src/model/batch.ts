/** Calls `work` with all ids that were named within `wait` milliseconds, each once. */
export class Batch {
  constructor(
    private readonly work: (ids: string[]) => Promise<void>,
    private readonly wait: number
  ) {}

  /** Name an id. */
  add(id: string): void {
    this.ids.add(id);
    if (!this.timer) {
      this.timer = window.setTimeout(() => void this.run(), this.wait);
    }
  }

  /** Forget what was named. */
  clear(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.ids.clear();
  }

  private async run(): Promise<void> {
    const ids = [...this.ids];
    this.clear();
    await this.work(ids).catch(() => undefined);
  }

  private readonly ids = new Set<string>();
  private timer = 0;
}
