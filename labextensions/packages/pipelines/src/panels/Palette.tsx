import { IconButton } from '@atelier/ui';
import { caretDownIcon, caretRightIcon, FilterBox, infoIcon, LabIcon } from '@jupyterlab/ui-components';
import { notebookIcon, pythonIcon, rKernelIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useMemo, useRef, useState } from 'react';

import { PALETTE_MIME } from '../canvas/drop';
import { TemplateSummary } from '../document/ports';
import { templateIcon } from '../icons';
import { addGeneric, addTemplate } from '../model/actions';
import { useSignalValue } from '../model/react';
import { usePanel } from './services';
import { showDocs } from './docs';

/** Something that becomes a step. */
interface Item {
  key: string;
  label: string;
  description: string;
  category: string;
  icon: LabIcon;
  dragged: Record<string, string>;
  add: () => void;
  template?: TemplateSummary;
}

type Accepts = (text: string) => boolean;
const ALL: Accepts = () => true;

function useItems(): Item[] {
  const panel = usePanel();
  const { view, trans } = panel;
  const templates = useSignalValue(view.catalog.changed, () => view.catalog.templates);
  return useMemo(() => {
    const generic = (op: string, label: string, icon: LabIcon, description: string): Item => ({
      key: op,
      label,
      icon,
      description,
      category: trans.__('Your own files'),
      dragged: { op, label: label.toLowerCase() },
      add: () => addGeneric(view, op, label.toLowerCase(), null)
    });
    const own = [
      generic('execute-notebook-node', trans.__('Notebook'), notebookIcon, trans.__('Runs a notebook.')),
      generic(
        'execute-python-node',
        trans.__('Python script'),
        pythonIcon,
        trans.__('Runs a Python script.')
      ),
      generic('execute-r-node', trans.__('R script'), rKernelIcon, trans.__('Runs an R script.'))
    ];
    const others = templates.map(template => ({
      key: `${template.name}@${template.version}`,
      label: template.title,
      description: template.description,
      category: template.category,
      icon: templateIcon,
      dragged: { template: template.name },
      add: () => addTemplate(view, template, null),
      template
    }));
    return [...own, ...others];
  }, [view, trans, templates]);
}

const ROWS = '.at-Palette-heading, .at-Palette-item';
const STOPS = 'button, [role="button"]';

function stopsOf(row: Element): HTMLElement[] {
  const inner = [...row.querySelectorAll<HTMLElement>(STOPS)];
  return row instanceof HTMLElement && row.matches(STOPS) ? [row, ...inner] : inner;
}

/** The list is one stop of the Tab key, at the row where the person was last; the arrow keys, Home and End move. */
function useRows(): Pick<React.HTMLAttributes<HTMLDivElement>, 'onFocus' | 'onKeyDown'> & {
  ref: React.RefObject<HTMLDivElement>;
} {
  const ref = useRef<HTMLDivElement>(null);
  const last = useRef<Element | null>(null);
  const rows = (): Element[] => [...(ref.current?.querySelectorAll(ROWS) ?? [])];
  const settle = (): void => {
    const all = rows();
    const here = last.current && all.includes(last.current) ? last.current : all[0];
    for (const row of all) {
      stopsOf(row).forEach(stop => (stop.tabIndex = row === here ? 0 : -1));
    }
  };
  useEffect(settle);
  return {
    ref,
    onFocus: event => {
      last.current = event.target.closest(ROWS);
      settle();
    },
    onKeyDown: event => {
      const all = rows();
      const at = all.findIndex(row => row.contains(event.target as Node));
      const places: Record<string, number> = {
        ArrowDown: at + 1,
        ArrowUp: at - 1,
        Home: 0,
        End: all.length - 1
      };
      const next = all[places[event.key] ?? -1];
      if (next) {
        event.preventDefault();
        stopsOf(next)[0]?.focus();
      }
    }
  };
}

/** What steps are made of, by category; drag one onto the canvas, or press Enter on it. */
export function Palette(): React.JSX.Element {
  const { trans } = usePanel();
  const items = useItems();
  const [accepts, setAccepts] = useState<{ text: Accepts }>({ text: ALL });
  const shown = items.filter(item =>
    [item.label, item.description, item.key, item.category].some(about => accepts.text(about))
  );
  const categories = [...new Set(shown.map(item => item.category))];
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const rows = useRows();
  const toggle = (category: string): void => {
    const others = [...closed].filter(one => one !== category);
    setClosed(new Set(closed.has(category) ? others : [...others, category]));
  };
  return (
    <div className="at-Palette" role="region" aria-label={trans.__('Templates')}>
      <div className="at-Palette-search">
        <FilterBox
          placeholder={trans.__('Search templates')}
          useFuzzyFilter={false}
          updateFilter={filter => setAccepts({ text: about => filter(about) !== null })}
          caseSensitive={false}
        />
      </div>
      <div className="at-Palette-list" {...rows}>
        {categories.map(category => (
          <Category
            key={category}
            name={category}
            items={shown.filter(item => item.category === category)}
            open={!closed.has(category)}
            onToggle={() => toggle(category)}
          />
        ))}
        {!shown.length && <p className="at-Empty">{trans.__('No template has these words.')}</p>}
      </div>
    </div>
  );
}

function Category(props: {
  name: string;
  items: Item[];
  open: boolean;
  onToggle: () => void;
}): React.JSX.Element {
  const { open } = props;
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <section className="at-Palette-category">
      <button className="at-Palette-heading" aria-expanded={open} onClick={props.onToggle}>
        <Caret.react tag="span" />
        <span>{props.name}</span>
      </button>
      {open && props.items.map(item => <PaletteItem key={item.key} item={item} />)}
    </section>
  );
}

function PaletteItem(props: { item: Item }): React.JSX.Element {
  const panel = usePanel();
  const { item } = props;
  const { trans, view } = panel;
  const readOnly = useSignalValue(view.changed, () => view.readOnly);
  const { template } = item;
  return (
    <div
      className="at-Palette-item"
      draggable={!readOnly}
      data-item={item.key}
      onDragStart={event => {
        event.dataTransfer.setData(PALETTE_MIME, JSON.stringify(item.dragged));
        event.dataTransfer.effectAllowed = 'copy';
      }}
    >
      <div
        className="at-Palette-add"
        role="button"
        tabIndex={0}
        aria-disabled={readOnly}
        title={item.description}
        onKeyDown={event => {
          if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            if (!readOnly) {
              item.add();
            }
          }
        }}
        onDoubleClick={() => !readOnly && item.add()}
      >
        <item.icon.react tag="span" className="at-Palette-icon" />
        <span className="at-Palette-label">{item.label}</span>
        {template?.stage === 'alpha' && <span className="at-StageTag">{trans.__('alpha')}</span>}
      </div>
      {template && (
        <IconButton
          className="at-Palette-docs"
          icon={infoIcon}
          label={trans.__('About %1', item.label)}
          onClick={() => void showDocs(panel, template.name)}
        />
      )}
    </div>
  );
}
