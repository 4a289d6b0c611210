import { CodeEditor } from '@jupyterlab/codeeditor';
import { WidgetProps } from '@rjsf/utils';
import React, { useEffect, useRef } from 'react';

import { usePanel } from '../services';

/** Code in Lab's own editor. */
export function CodeWidget(props: WidgetProps): React.JSX.Element {
  const { editors } = usePanel();
  const { options, disabled, readonly, label } = props;
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<CodeEditor.IEditor | null>(null);
  const change = useRef(props.onChange);
  change.current = props.onChange;
  const value = typeof props.value === 'string' ? props.value : '';
  const language = String(options.language ?? '');
  useEffect(() => {
    const mimeType = editors.mimeTypeService.getMimeTypeByLanguage({ name: language || 'text' });
    const model = new CodeEditor.Model({ mimeType: Array.isArray(mimeType) ? mimeType[0] : mimeType });
    model.sharedModel.setSource(value);
    const made = editors.factoryService.newInlineEditor({
      host: host.current as HTMLElement,
      model,
      config: { lineNumbers: false, readOnly: disabled || readonly }
    });
    made.host.querySelector('.cm-content')?.setAttribute('aria-label', label);
    editor.current = made;
    model.sharedModel.changed.connect(() => change.current(model.sharedModel.getSource() || undefined));
    return () => {
      editor.current = null;
      made.dispose();
      model.dispose();
    };
  }, [editors, language, disabled, readonly, label]);
  useEffect(() => {
    const shared = editor.current?.model.sharedModel;
    if (shared && shared.getSource() !== value) {
      shared.setSource(value);
    }
  }, [value]);
  return <div ref={host} className="at-Code" />;
}
