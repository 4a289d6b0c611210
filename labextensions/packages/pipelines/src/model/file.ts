import { DocumentModel, DocumentRegistry, TextModelFactory } from '@jupyterlab/docregistry';
import { ISharedFile } from '@jupyter/ydoc';
import { ISignal, Signal } from '@lumino/signaling';

import { NotAPipeline, PipelineDocument } from '../document/document';
import { Edit } from '../document/edits';
import { History } from '../document/history';

/** The open file: its document, what may be undone, and why it cannot be shown where that is so. */
export class PipelineFile extends DocumentModel {
  /** The document as it stands. */
  get document(): PipelineDocument {
    return this.history.document;
  }

  /** Why the file is no pipeline, or an empty text. */
  get broken(): string {
    return this._broken;
  }

  get canUndo(): boolean {
    return this.history.canUndo;
  }

  get canRedo(): boolean {
    return this.history.canRedo;
  }

  /** Emitted when the document is another one. */
  get documentChanged(): ISignal<this, PipelineDocument> {
    return this._documentChanged;
  }

  /** Change the document; edits with the same `key` in quick succession are undone together. */
  edit(edit: Edit, key = ''): void {
    if (this.history.push(edit(this.document), key)) {
      this.changed();
    }
  }

  undo(): void {
    if (this.history.undo()) {
      this.changed();
    }
  }

  redo(): void {
    if (this.history.redo()) {
      this.changed();
    }
  }

  /** The file's text; one that was not changed is as it was, to the letter. */
  override toString(): string {
    return this.text ?? (this.text = this.document.toString());
  }

  override fromString(value: string): void {
    if (value === this.text) {
      return;
    }
    this.text = value;
    this._broken = '';
    try {
      const read = PipelineDocument.parse(value);
      if (this.loaded) {
        this.history.push(read);
      } else {
        this.history = new History(read);
      }
      this.loaded = value !== '';
    } catch (error) {
      if (!(error instanceof NotAPipeline)) {
        throw error;
      }
      this._broken = error.message;
    }
    this._documentChanged.emit(this.document);
    this.triggerContentChange();
  }

  override toJSON(): DocumentModelJson {
    return JSON.parse(this.toString()) as DocumentModelJson;
  }

  private changed(): void {
    this.text = null;
    this.dirty = true;
    this._documentChanged.emit(this.document);
    this.triggerContentChange();
  }

  private history = new History(PipelineDocument.create());
  private text: string | null = null;
  private loaded = false;
  private _broken = '';
  private readonly _documentChanged = new Signal<this, PipelineDocument>(this);
}

type DocumentModelJson = ReturnType<DocumentModel['toJSON']>;

/** Makes the models of `.pipeline` files. */
export class PipelineFileFactory extends TextModelFactory {
  override get name(): string {
    return 'atelier-pipeline';
  }

  override createNew(options: DocumentRegistry.IModelOptions<ISharedFile> = {}): PipelineFile {
    return new PipelineFile(options);
  }
}
