import React, { useDeferredValue, useEffect, useState } from 'react';

import { PipelineDocument } from '../document/document';
import { genericKind } from '../document/step';
import { PipelineNode } from '../document/types';
import { useSignalValue } from '../model/react';
import { FieldFocus } from '../model/view';
import { PipelineForm } from './PipelineForm';
import { usePanel } from './services';
import { SelectionForm } from './SelectionForm';
import { FileStepForm } from './step/FileStepForm';
import { TemplateStepForm } from './step/TemplateStepForm';

/** The field that was asked for last; it stays asked for until another is. */
function useFocus(): FieldFocus {
  const { view } = usePanel();
  const [focus, setFocus] = useState<FieldFocus>({ node: '', field: '' });
  useEffect(() => {
    const onAsked = (_view: unknown, asked: FieldFocus): void => setFocus({ ...asked });
    view.fieldAsked.connect(onAsked);
    return () => void view.fieldAsked.disconnect(onAsked);
  }, [view]);
  return focus;
}

/** What is selected, as a form: one step, several, or the pipeline itself. */
export function Inspector(): React.JSX.Element {
  const { view, trans } = usePanel();
  const document = useSignalValue(view.file.documentChanged, () => view.document);
  // Forms are heavier than steps: dragging one must not wait for its form.
  const selection = useDeferredValue(useSignalValue(view.changed, () => view.selection));
  const readOnly = useSignalValue(view.changed, () => view.readOnly);
  useSignalValue(view.changed, () => view.problems);
  const focus = useFocus();
  return (
    <div className="at-Inspector" role="region" aria-label={trans.__('Settings')}>
      {bodyOf(document, selection.ids, readOnly, focus)}
    </div>
  );
}

function bodyOf(
  document: PipelineDocument,
  ids: ReadonlySet<string>,
  readOnly: boolean,
  focus: FieldFocus
): React.JSX.Element {
  const nodes = [...ids].map(id => document.node(id)).filter((node): node is PipelineNode => !!node);
  if (nodes.length > 1) {
    return <SelectionForm nodes={nodes} readOnly={readOnly} />;
  }
  const [node] = nodes;
  if (!node) {
    return <PipelineForm document={document} readOnly={readOnly} focus={focus} />;
  }
  const props = { key: node.id, node, readOnly, focus: focus.node === node.id ? focus.field : null };
  return genericKind(node) ? <FileStepForm {...props} /> : <TemplateStepForm {...props} />;
}
