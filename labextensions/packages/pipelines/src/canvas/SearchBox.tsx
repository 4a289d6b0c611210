import { IconButton } from '@atelier/ui';
import { closeIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useRef, useState } from 'react';

import { PipelineDocument } from '../document/document';
import { descriptionOf, filename, nameOf } from '../document/step';
import { PipelineNode } from '../document/types';
import { useSignalValue } from '../model/react';
import { usePanel } from '../panels/services';

function matches(
  document: PipelineDocument,
  wanted: string,
  label: (node: PipelineNode) => string
): string[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length
    ? document.nodes
        .filter(node => {
          const about = [nameOf(node), descriptionOf(node), filename(node), label(node)]
            .join(' ')
            .toLowerCase();
          return words.every(word => about.includes(word));
        })
        .map(node => node.id)
    : [];
}

/** Find steps by name, kind or description: Enter goes to the next one. */
export function SearchBox(): React.JSX.Element | null {
  const { view } = usePanel();
  const open = useSignalValue(view.changed, () => view.searching);
  return open ? <OpenSearch /> : null;
}

function OpenSearch(): React.JSX.Element {
  const { view, trans } = usePanel();
  const [wanted, setWanted] = useState('');
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const found = matches(view.document, wanted, node => {
    const { label = '', title = '' } = view.catalog.templateOf(node) ?? {};
    return `${label} ${title}`;
  });
  const go = (index: number): void => {
    if (found.length) {
      const next = (index + found.length) % found.length;
      setAt(next);
      view.select([found[next]]);
      view.show([found[next]]);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.key === 'Enter') {
      go(event.shiftKey ? at - 1 : at + (view.selection.ids.has(found[at]) ? 1 : 0));
    } else if (event.key === 'Escape') {
      view.searching = false;
    }
  };
  return (
    <div className="at-Search" role="search">
      <input
        ref={input}
        className="jp-mod-styled at-Search-input"
        type="search"
        placeholder={trans.__('Find a step')}
        aria-label={trans.__('Find a step')}
        value={wanted}
        onChange={event => {
          setWanted(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <span className="at-Search-count" role="status">
        {wanted ? trans.__('%1 of %2', found.length ? at + 1 : 0, found.length) : ''}
      </span>
      <IconButton icon={closeIcon} label={trans.__('Close')} onClick={() => (view.searching = false)} />
    </div>
  );
}
