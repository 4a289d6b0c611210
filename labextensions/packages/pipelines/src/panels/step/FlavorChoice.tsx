import { describe } from '@atelier/ui';
import { Notification } from '@jupyterlab/apputils';
import React, { useId, useRef, useState } from 'react';

import { changeNode, withExtras } from '../../document/edits';
import { extras } from '../../document/step';
import { JsonObject, object, PipelineNode } from '../../document/types';
import { mebibytes } from '../../model/catalog';
import { Flavor, flavorsOf } from '../../model/offers';
import { Picker } from '../form/Picker';
import { usePanel } from '../services';

/** A flavor fills in processors, memory and GPUs, which can be changed afterwards. */
export function FlavorChoice({ node }: { node: PipelineNode }): React.JSX.Element {
  const { view, trans } = usePanel();
  const id = useId();
  const [text, setText] = useState('');
  const flavors = useRef<Promise<Flavor[]> | null>(null);
  const take = async (name: string | undefined): Promise<void> => {
    setText(name ?? '');
    try {
      flavors.current ??= flavorsOf(view.atelier);
      const found = (await flavors.current).find(one => one.name === name);
      if (found) {
        view.edit(changeNode(node.id, one => withExtras(one, { resources: resourcesOf(one, found) })));
      }
    } catch (error) {
      flavors.current = null;
      Notification.error(describe(error).message, { autoClose: 8000 });
    }
  };
  return (
    <div className="at-Field" data-field="flavor">
      <div className="at-Field-head">
        <label className="at-Field-label" htmlFor={id}>
          {trans.__('Flavor')}
        </label>
      </div>
      <Picker id={id} kind="flavor" value={text} disabled={false} onChange={name => void take(name)} />
      <div className="at-Field-description">{trans.__('Fills in what is below.')}</div>
    </div>
  );
}

function resourcesOf(node: PipelineNode, flavor: Flavor): JsonObject {
  const { cpu, memory, accelerator, accelerators } = flavor;
  const devices = accelerators ? { accelerator, accelerators } : { accelerators: 0 };
  return {
    ...object(extras(node).resources),
    cpu,
    memory: mebibytes(memory),
    ...devices
  };
}
