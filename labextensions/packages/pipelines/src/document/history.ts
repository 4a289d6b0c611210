import { PipelineDocument } from './document';

const MOST = 200;
const TOGETHER = 800;

/** What the document was before, and what was undone. Edits of one field in quick succession are one step. */
export class History {
  constructor(private current: PipelineDocument) {}

  get document(): PipelineDocument {
    return this.current;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** Go on with another document. What has the same `key` as the edit just before is undone with it. */
  push(document: PipelineDocument, key = ''): boolean {
    if (document === this.current) {
      return false;
    }
    const now = Date.now();
    if (!key || key !== this.key || now - this.at > TOGETHER) {
      this.past.push(this.current);
      this.past.splice(0, this.past.length - MOST);
    }
    this.key = key;
    this.at = now;
    this.future = [];
    this.current = document;
    return true;
  }

  undo(): boolean {
    return this.step(this.past, this.future);
  }

  redo(): boolean {
    return this.step(this.future, this.past);
  }

  private step(from: PipelineDocument[], to: PipelineDocument[]): boolean {
    const found = from.pop();
    if (!found) {
      return false;
    }
    to.push(this.current);
    this.current = found;
    this.key = '';
    return true;
  }

  private past: PipelineDocument[] = [];
  private future: PipelineDocument[] = [];
  private key = '';
  private at = 0;
}
