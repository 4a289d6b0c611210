import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
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
