import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon, ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { WithTrans } from './i18n';

/** A widget whose content is React; every part of it finds `trans`. */
export class ContentWidget extends ReactWidget {
  constructor(
    private readonly trans: TranslationBundle,
    private readonly draw: () => React.ReactNode
  ) {
    super();
    this.addClass('at-Content');
  }

  protected override render(): JSX.Element {
    return <WithTrans trans={this.trans}>{this.draw()}</WithTrans>;
  }
}

/** What a panel of a side bar is made from. */
export interface SidePanelOptions {
  id: string;
  icon: LabIcon;
  /** Its name, for eyes and for screen readers. */
  caption: string;
  trans: TranslationBundle;
  /** Lab's own start, before which nothing of ours is drawn or asked for. */
  restored: Promise<unknown>;
  draw: () => React.ReactNode;
}

/** A panel of a side bar that draws, and so asks for something, only once somebody looks at it. */
export class LazyPanel extends ContentWidget {
  constructor(options: SidePanelOptions) {
    super(options.trans, () => (this.seen ? options.draw() : null));
    this.id = options.id;
    this.title.icon = options.icon;
    this.title.caption = options.caption;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', options.caption);
    this.restored = options.restored;
    void this.restored.then(() => this.isVisible && this.see());
  }

  protected override onAfterShow(): void {
    void this.restored.then(() => this.see());
  }

  private see(): void {
    this.seen = true;
    this.update();
  }

  private readonly restored: Promise<unknown>;
  private seen = false;
}
