import { ReactWidget } from '@jupyterlab/apputils';
import { SplitPanel, Widget } from '@lumino/widgets';
import { WithTrans } from '@atelier/ui';
import React from 'react';

import { Canvas } from './canvas/Canvas';
import { Bottom } from './panels/Bottom';
import { Inspector } from './panels/Inspector';
import { Palette } from './panels/Palette';
import { RunBar } from './panels/RunBar';
import { Panel, PanelContext } from './panels/services';

const REFIT = 100;

/** What is inside the tab of a pipeline: palette, canvas, settings, and what is below. Loaded on first use. */
export function createContent(panel: Panel): Widget {
  const part = (name: string, element: React.JSX.Element): Widget => {
    const widget = ReactWidget.create(
      <WithTrans trans={panel.trans}>
        <PanelContext.Provider value={panel}>{element}</PanelContext.Provider>
      </WithTrans>
    );
    widget.addClass(`at-Part-${name}`);
    return widget;
  };
  const canvas = part('canvas', <CanvasWithRun />);
  const bottom = part('bottom', <Bottom />);
  const middle = split('vertical', [canvas, bottom], [0.55, 0.45]);
  const content = split(
    'horizontal',
    panel.view.readOnly
      ? [middle, part('inspector', <Inspector />)]
      : [part('palette', <Palette />), middle, part('inspector', <Inspector />)],
    panel.view.readOnly ? [0.75, 0.25] : [0.16, 0.59, 0.25]
  );
  content.addClass('at-Pipeline');
  const showBottom = (): void => {
    const hidden = panel.view.bottomTab === null;
    if (bottom.isHidden !== hidden) {
      bottom.setHidden(hidden);
      middle.setRelativeSizes([0.55, 0.45]);
      window.setTimeout(() => panel.view.show(), REFIT);
    }
  };
  showBottom();
  panel.view.changed.connect(showBottom);
  return content;
}

function CanvasWithRun(): React.JSX.Element {
  return (
    <>
      <RunBar />
      <Canvas />
    </>
  );
}

function split(orientation: 'horizontal' | 'vertical', widgets: Widget[], sizes: number[]): SplitPanel {
  const panel = new SplitPanel({ orientation, spacing: 1 });
  widgets.forEach(widget => panel.addWidget(widget));
  panel.setRelativeSizes(sizes);
  return panel;
}
