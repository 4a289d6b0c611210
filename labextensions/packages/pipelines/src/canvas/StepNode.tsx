import { reasonText, stateWord, UsageTag, whyText } from '@atelier/ui';
import { LabIcon, notebookIcon, pythonIcon, rKernelIcon } from '@jupyterlab/ui-components';
import { Handle, NodeProps, Position } from '@xyflow/react';
import React, { memo } from 'react';

import { kindOf, Port, Ports } from '../document/ports';
import { filename, nameOf } from '../document/step';
import { IN_PORT, OUT_PORT, PipelineNode } from '../document/types';
import { templateIcon } from '../icons';
import { LiveStep } from '../model/live';
import { useSignalValue } from '../model/react';
import { Elapsed } from '../panels/Elapsed';
import { usePanel } from '../panels/services';
import { StepFlowNode } from './flow';
import { HANDLE, HEADER, portY } from './geometry';
import { useStep } from './useStep';

const ICONS: Readonly<Record<ReturnType<typeof kindOf>, LabIcon>> = {
  python: pythonIcon,
  notebook: notebookIcon,
  r: rKernelIcon,
  template: templateIcon
};

/** The icon of a step's kind. */
export function iconOf(node: PipelineNode): LabIcon {
  return ICONS[kindOf(node)];
}

/** A step on the canvas: what it is, what it takes and leaves, and how it goes. */
export const StepNode = memo(function StepNode(props: NodeProps<StepFlowNode>): React.JSX.Element {
  const { view, trans } = usePanel();
  const { node, template, ports, detail } = props.data;
  const step = useStep(view, node.id);
  const problems = useSignalValue(view.changed, () => view.problemsOf(node.id));
  const classes = ['at-Step'];
  if (step) {
    classes.push(`at-mod-${step.state}`);
  }
  if (problems) {
    classes.push('at-mod-problem');
  }
  const name = nameOf(node);
  if (detail !== 'near') {
    return (
      <div
        className={[...classes, 'at-mod-far'].join(' ')}
        title={name}
        data-node={node.id}
        data-state={step?.state ?? ''}
      >
        <div className="at-Step-farName">{name}</div>
        {step && (
          <div className="at-Step-farState">
            <span className="at-Dot" aria-hidden="true" />
            {stateWord(trans, step.state)}
          </div>
        )}
        {detail === 'far' && <FarPorts ports={ports} />}
      </div>
    );
  }
  const Icon = iconOf(node);
  const kind = template?.title || filename(node) || node.op || '';
  return (
    <div className={classes.join(' ')} data-node={node.id} data-state={step?.state ?? ''}>
      <div className="at-Step-header">
        <Handle type="target" position={Position.Left} id={IN_PORT} className="at-Handle at-mod-order" />
        <Icon.react tag="span" className="at-Step-icon" />
        <div className="at-Step-names">
          <div className="at-Step-name" title={name}>
            {name}
          </div>
          {step ? (
            <Status step={step} />
          ) : (
            <div className="at-Step-kind" title={kind}>
              {kind}
            </div>
          )}
        </div>
        {problems > 0 && <Badge count={problems} />}
        <Handle type="source" position={Position.Right} id={OUT_PORT} className="at-Handle at-mod-order" />
      </div>
      <PortRows inputs={ports.inputs} outputs={ports.outputs} />
    </div>
  );
});

/** From afar: only what React Flow measures to know where edges end. */
function FarPorts(props: { ports: Ports }): React.JSX.Element {
  const { inputs, outputs } = props.ports;
  const port = (type: 'source' | 'target', id: string, top: number): React.JSX.Element => (
    <div
      key={`${type} ${id}`}
      className={`at-FarPort ${type}`}
      data-handleid={id}
      data-handlepos={type === 'source' ? Position.Right : Position.Left}
      style={{ top: top - HANDLE / 2 }}
    />
  );
  return (
    <>
      {port('target', IN_PORT, HEADER / 2)}
      {port('source', OUT_PORT, HEADER / 2)}
      {inputs.map((one, index) => port('target', one.name, portY(index)))}
      {outputs.map((one, index) => port('source', one.name, portY(index)))}
    </>
  );
}

function Badge(props: { count: number }): React.JSX.Element {
  const { trans } = usePanel();
  const title = trans._n('%1 problem', '%1 problems', props.count);
  return (
    <span className="at-Step-badge" title={title} aria-label={title} role="img">
      {props.count}
    </span>
  );
}

function Status(props: { step: LiveStep }): React.JSX.Element {
  const { trans } = usePanel();
  const { step } = props;
  const word = stateWord(trans, step.state);
  const why = whyText(trans, step);
  return (
    <div className="at-Step-status" title={why || word} role="status">
      <span className="at-Dot" aria-hidden="true" />
      <span className={step.usage ? 'at-visually-hidden' : 'at-Step-state'}>{word}</span>
      {step.queue && <QueuePlaceTag queue={step.queue} />}
      <Elapsed from={step.started_at} to={step.ended_at} />
      <UsageTag usage={step.usage} />
      {step.attempt > 1 && (
        <span className="at-Step-retry" title={trans.__('Attempt %1', step.attempt)}>
          ↻ {step.attempt}
        </span>
      )}
      {why && step.state !== 'done' && (
        <span className="at-Step-why">{step.message || reasonText(trans, step.reason)}</span>
      )}
    </div>
  );
}

function QueuePlaceTag({ queue }: Required<Pick<LiveStep, 'queue'>>): React.JSX.Element {
  const { trans } = usePanel();
  const { place, of, backend } = queue;
  const title = trans.__('Place %1 of %2 in the queue of %3', place, of, backend);
  return (
    <span className="at-Step-queue" title={title} aria-label={title} role="img">
      {place}/{of}
    </span>
  );
}

function PortRows(props: { inputs: Port[]; outputs: Port[] }): React.JSX.Element | null {
  const rows = Math.max(props.inputs.length, props.outputs.length);
  if (!rows) {
    return null;
  }
  return (
    <div className="at-Ports">
      <div className="at-Ports-side">
        {props.inputs.map(port => (
          <PortRow key={port.name} port={port} type="target" />
        ))}
      </div>
      <div className="at-Ports-side at-mod-outputs">
        {props.outputs.map(port => (
          <PortRow key={port.name} port={port} type="source" />
        ))}
      </div>
    </div>
  );
}

function PortRow(props: { port: Port; type: 'source' | 'target' }): React.JSX.Element {
  const { port, type } = props;
  const title = [`${port.name}: ${port.type}`, port.description].filter(Boolean).join('\n');
  return (
    <div className="at-Port" title={title}>
      <Handle
        type={type}
        position={type === 'source' ? Position.Right : Position.Left}
        id={port.name}
        className="at-Handle"
        data-type={port.type}
      />
      <span className="at-Port-name">{port.name}</span>
      {type === 'target' && port.required && (
        <span className="at-Port-required" aria-hidden="true">
          *
        </span>
      )}
    </div>
  );
}
