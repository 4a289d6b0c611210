import { IconButton } from '@atelier/ui';
import { RegistryWidgetsType, WidgetProps } from '@rjsf/utils';
import { folderIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { usePanel } from '../services';
import { CodeWidget } from './CodeWidget';
import { chooseFile } from './chooseFile';

/** On or off. */
function SwitchWidget(props: WidgetProps): React.JSX.Element {
  const { id, value, disabled, readonly, onChange } = props;
  return (
    <span className="at-Switch">
      <input
        id={id}
        type="checkbox"
        role="switch"
        checked={value === true}
        disabled={disabled || readonly}
        onChange={event => onChange(event.target.checked)}
      />
      <span className="at-Switch-track" aria-hidden="true" />
    </span>
  );
}

/** A number between two limits: a slider, and the number itself. */
function SliderWidget(props: WidgetProps): React.JSX.Element {
  const { id, value, schema, disabled, readonly, onChange, label } = props;
  const lowest = Number(schema.minimum ?? schema.exclusiveMinimum ?? 0);
  const highest = Number(schema.maximum ?? schema.exclusiveMaximum ?? 100);
  const step = schema.multipleOf ?? (schema.type === 'integer' ? 1 : (highest - lowest) / 100);
  const change = (event: React.ChangeEvent<HTMLInputElement>): void =>
    onChange(event.target.value === '' ? undefined : Number(event.target.value));
  const shared = { min: lowest, max: highest, step, disabled: disabled || readonly, onChange: change };
  return (
    <span className="at-Slider">
      <input type="range" aria-label={label} value={Number(value ?? lowest)} {...shared} />
      <input
        id={id}
        className="jp-mod-styled at-Slider-number"
        type="number"
        value={typeof value === 'number' ? value : ''}
        {...shared}
        step="any"
      />
    </span>
  );
}

/** A text with suggestions: what a picker offers. */
function SuggestWidget(props: WidgetProps): React.JSX.Element {
  const { view } = usePanel();
  const { id, value, options, disabled, readonly, onChange, placeholder } = props;
  const offered = options.picker === 'image' ? view.catalog.images : [];
  return (
    <>
      <input
        id={id}
        className="jp-mod-styled"
        list={`${id}-offered`}
        value={typeof value === 'string' ? value : ''}
        placeholder={placeholder}
        disabled={disabled || readonly}
        onChange={event => onChange(event.target.value || undefined)}
      />
      <datalist id={`${id}-offered`}>
        {offered.map(one => (
          <option key={one.name} value={one.name}>
            {one.description}
          </option>
        ))}
      </datalist>
    </>
  );
}

/** A path from the pipeline's folder, with Lab's file dialog. */
function FileWidget(props: WidgetProps): React.JSX.Element {
  const panel = usePanel();
  const { id, value, disabled, readonly, onChange } = props;
  const title = panel.trans.__('Choose a file');
  return (
    <span className="at-File">
      <input
        id={id}
        className="jp-mod-styled"
        value={typeof value === 'string' ? value : ''}
        disabled={disabled || readonly}
        onChange={event => onChange(event.target.value || undefined)}
      />
      <IconButton
        icon={folderIcon}
        label={title}
        disabled={disabled || readonly}
        onClick={() => void chooseFile(panel).then(path => path && onChange(path))}
      />
    </span>
  );
}

/** The widgets that `x-ui` names. */
export const WIDGETS: RegistryWidgetsType = {
  switch: SwitchWidget,
  slider: SliderWidget,
  suggest: SuggestWidget,
  file: FileWidget,
  code: CodeWidget
};
