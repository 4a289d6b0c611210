import { IconButton } from '@atelier/ui';
import { deleteIcon, HTMLSelect } from '@jupyterlab/ui-components';
import React, { useEffect, useRef, useState } from 'react';

import { candidates, connection } from '../../canvas/connect';
import { disconnect } from '../../document/edits';
import { edgesInto } from '../../document/graph';
import { freeName, Port, VALUE } from '../../document/ports';
import { genericKind, nameOf, sourcesOf } from '../../document/step';
import { IN_PORT, PipelineNode, Source } from '../../document/types';
import { usePanel } from '../services';

const NONE = '';

/** The inputs of a step as lists to choose from: everything that can be drawn can be done here by keyboard. */
export function Inputs(props: {
  node: PipelineNode;
  ports: Port[];
  readOnly: boolean;
  focus: string | null;
}): React.JSX.Element {
  const { trans } = usePanel();
  const { node, ports, readOnly } = props;
  const generic = genericKind(node) !== '';
  return (
    <div className="at-Inputs">
      {ports.map(port => (
        <InputRow
          key={port.name}
          node={node}
          port={port}
          type={generic ? null : port.type}
          readOnly={readOnly}
          focused={props.focus === port.name}
        />
      ))}
      {!ports.length && <p className="at-Empty">{trans.__('It takes nothing from other steps.')}</p>}
      {generic && !readOnly && <AddInput node={node} />}
      <RunsAfter node={node} readOnly={readOnly} />
    </div>
  );
}

function keyOf(source: Source | undefined): string {
  return source ? JSON.stringify([source.node, source.output]) : NONE;
}

/** A list of the outputs that may be taken. */
function OutputSelect(props: {
  node: PipelineNode;
  type: string | null;
  value: string;
  label: string;
  none: string;
  readOnly: boolean;
  onChoose: (source: Source | null) => void;
}): React.JSX.Element {
  const { view } = usePanel();
  const offered = candidates(view, props.node, props.type).map(({ node, port }) => ({
    key: keyOf({ node: node.id, output: port.name }),
    shown: `${nameOf(node)} › ${port.name} (${port.type})`
  }));
  if (props.value && !offered.some(one => one.key === props.value)) {
    const [id, output] = JSON.parse(props.value) as [string, string];
    const node = view.document.node(id);
    offered.push({ key: props.value, shown: `${node ? nameOf(node) : id} › ${output}` });
  }
  return (
    <HTMLSelect
      aria-label={props.label}
      value={props.value}
      disabled={props.readOnly}
      onChange={event => {
        const [node, output] = event.target.value ? (JSON.parse(event.target.value) as [string, string]) : [];
        props.onChoose(node && output ? { node, output } : null);
      }}
    >
      <option value={NONE}>{props.none}</option>
      {offered.map(one => (
        <option key={one.key} value={one.key}>
          {one.shown}
        </option>
      ))}
    </HTMLSelect>
  );
}

function InputRow(props: {
  node: PipelineNode;
  port: Port;
  type: string | null;
  readOnly: boolean;
  focused: boolean;
}): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, port, focused } = props;
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (focused) {
      root.current?.scrollIntoView({ block: 'nearest' });
      root.current?.querySelector('select')?.focus();
    }
  }, [focused]);
  const source = sourcesOf(node).get(port.name);
  const choose = (chosen: Source | null): void => {
    if (chosen) {
      view.edit(
        connection(view, { source: chosen.node, output: chosen.output, target: node.id, input: port.name })
      );
    } else if (source) {
      view.edit(
        disconnect({ id: '', source: source.node, output: source.output, target: node.id, input: port.name })
      );
    }
  };
  return (
    <div ref={root} className="at-Field" data-field={port.name}>
      <div className="at-Field-label" title={port.description}>
        {port.name} <span className="at-Type">{port.type}</span>
        {port.required && <span aria-hidden="true"> *</span>}
      </div>
      <OutputSelect
        node={node}
        type={props.type}
        value={keyOf(source)}
        label={trans.__('Where %1 comes from', port.name)}
        none={trans.__('Not connected')}
        readOnly={props.readOnly}
        onChoose={choose}
      />
      {port.description && <div className="at-Field-description">{port.description}</div>}
    </div>
  );
}

function AddInput(props: { node: PipelineNode }): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node } = props;
  return (
    <div className="at-Field">
      <OutputSelect
        node={node}
        type={null}
        value={NONE}
        label={trans.__('Add an input')}
        none={trans.__('Add an input…')}
        readOnly={false}
        onChoose={chosen => {
          if (chosen) {
            const input = freeName(chosen.output, sourcesOf(node).keys());
            view.edit(
              connection(view, { source: chosen.node, output: chosen.output, target: node.id, input })
            );
          }
        }}
      />
    </div>
  );
}

/** A parameter that takes a value of another step: choose the parameter, then the value. */
export function ValueInput(props: { node: PipelineNode; parameters: string[] }): React.JSX.Element | null {
  const { view, trans } = usePanel();
  const { node, parameters } = props;
  const [name, setName] = useState('');
  if (!candidates(view, node, VALUE).length) {
    return null;
  }
  return (
    <div className="at-Field at-ValueInput">
      <HTMLSelect
        aria-label={trans.__('Parameter')}
        value={name}
        onChange={event => setName(event.target.value)}
      >
        <option value="">{trans.__('Take a parameter from a step…')}</option>
        {parameters.map(one => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </HTMLSelect>
      {name && (
        <OutputSelect
          node={node}
          type={VALUE}
          value={NONE}
          label={trans.__('Value')}
          none={trans.__('Which value?')}
          readOnly={false}
          onChoose={chosen => {
            if (chosen) {
              const { node: source, output } = chosen;
              view.edit(connection(view, { source, output, target: node.id, input: name }));
              setName('');
            }
          }}
        />
      )}
    </div>
  );
}

function RunsAfter(props: { node: PipelineNode; readOnly: boolean }): React.JSX.Element | null {
  const { view, trans } = usePanel();
  const edges = edgesInto(props.node).filter(
    edge => edge.input === IN_PORT && view.document.node(edge.source)
  );
  if (!edges.length) {
    return null;
  }
  return (
    <div className="at-Field">
      <div className="at-Field-label">{trans.__('Also runs after')}</div>
      {edges.map(edge => {
        const parent = view.document.node(edge.source);
        const title = trans.__('No longer run after %1', parent ? nameOf(parent) : '');
        return (
          <div key={edge.id} className="at-Row">
            <span className="at-Row-text">{parent && nameOf(parent)}</span>
            {!props.readOnly && (
              <IconButton icon={deleteIcon} label={title} onClick={() => view.edit(disconnect(edge))} />
            )}
          </div>
        );
      })}
    </div>
  );
}
