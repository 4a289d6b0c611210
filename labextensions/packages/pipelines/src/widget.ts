import { EmptyState, WithTrans } from '@atelier/ui';
import { ReactWidget } from '@jupyterlab/apputils';
import { ABCWidgetFactory, DocumentRegistry, DocumentWidget } from '@jupyterlab/docregistry';
import { PanelLayout, Widget } from '@lumino/widgets';
import React from 'react';

import { pipelineIcon } from './icons';
import { PipelineFile } from './model/file';
import { PipelineView } from './model/view';
import { Services } from './panels/services';

/** The canvas with its panels; they are loaded when the file is there. */
export class PipelineContent extends Widget {
  constructor(
    readonly view: PipelineView,
    readonly services: Services,
    ready: Promise<void>
  ) {
    super({ node: document.createElement('div') });
    this.addClass('at-PipelineContent');
    this.node.dataset.state = 'loading';
    this.layout = new PanelLayout();
    const lazy = import('./lazy');
    this.loaded = Promise.all([lazy, ready, view.catalog.load().catch(() => undefined)]).then(([parts]) => {
      if (!this.isDisposed) {
        this.fill(parts.createContent({ ...services, view }));
      }
    });
  }

  /** Resolved once the steps can be drawn. */
  readonly loaded: Promise<void>;

  override dispose(): void {
    this.view.dispose();
    super.dispose();
  }

  protected override onActivateRequest(): void {
    this.node.querySelector<HTMLElement>('.at-Canvas')?.focus();
  }

  private fill(content: Widget): void {
    const { view } = this;
    const show = (): void => {
      const broken = view.file.broken;
      content.setHidden(broken !== '');
      notice.setHidden(broken === '');
    };
    const notice = this.brokenNotice();
    const layout = this.layout as PanelLayout;
    layout.addWidget(content);
    layout.addWidget(notice);
    view.file.documentChanged.connect(show);
    show();
    this.node.dataset.state = 'ready';
    const { below } = this.services.settings.choices;
    view.bottomTab = below === 'nothing' ? null : below;
    void view.check();
    void view.restoreRun().catch(() => undefined);
  }

  private brokenNotice(): Widget {
    const { trans, commands } = this.services;
    const open = (): void => {
      const path = this.view.context.path;
      void commands.execute('docmanager:open', { path, factory: 'Editor' });
    };
    const draw = (): JSX.Element =>
      React.createElement(
        EmptyState,
        {
          icon: pipelineIcon,
          title: trans.__('This file is no pipeline that can be shown.'),
          action: { label: trans.__('Open as Text'), run: open }
        },
        this.view.file.broken
      );
    const widget = ReactWidget.create(
      React.createElement(WithTrans, {
        trans,
        children: React.createElement(Redrawn, { view: this.view, draw })
      })
    );
    widget.addClass('at-Pipeline-broken');
    return widget;
  }
}

function Redrawn(props: { view: PipelineView; draw: () => JSX.Element }): JSX.Element {
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  const { file } = props.view;
  React.useEffect(() => {
    file.documentChanged.connect(redraw);
    return () => void file.documentChanged.disconnect(redraw);
  }, [file]);
  return props.draw();
}

/** A tab with a pipeline. */
export class PipelineWidget extends DocumentWidget<PipelineContent, PipelineFile> {}

/** What the factory needs besides what Lab gives every factory. */
export interface FactoryOptions extends DocumentRegistry.IWidgetFactoryOptions<PipelineWidget> {
  viewOf: (context: DocumentRegistry.IContext<PipelineFile>) => PipelineView;
  services: Services;
}

/** Makes the tabs of `.pipeline` files. */
export class PipelineWidgetFactory extends ABCWidgetFactory<PipelineWidget, PipelineFile> {
  constructor(private readonly own: FactoryOptions) {
    super(own);
  }

  protected createNewWidget(context: DocumentRegistry.IContext<PipelineFile>): PipelineWidget {
    const content = new PipelineContent(this.own.viewOf(context), this.own.services, context.ready);
    const widget = new PipelineWidget({ content, context, translator: this.own.services.translator });
    widget.title.icon = pipelineIcon;
    return widget;
  }
}
