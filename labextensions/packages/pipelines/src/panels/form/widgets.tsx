import { IconButton } from '@atelier/ui';
import { RegistryWidgetsType, WidgetProps } from '@rjsf/utils';
import { folderIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { PickerKind } from '../../model/offers';
import { usePanel } from '../services';
import { CodeWidget } from './CodeWidget';
import { chooseFile } from './chooseFile';
import { Picker } from './Picker';

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

/** Any of several choices, kept in the order of the offer. */
function ChecksWidget(props: WidgetProps): React.JSX.Element {
  const { id, options, label, disabled, readonly, onChange } = props;
  const chosen: unknown[] = Array.isArray(props.value) ? props.value : [];
  const offered = options.enumOptions ?? [];
  const change = (value: unknown, on: boolean): void => {
    const wanted = new Set(on ? [...chosen, value] : chosen.filter(one => one !== value));
    onChange(offered.map(one => one.value as unknown).filter(one => wanted.has(one)));
  };
  return (
    <div id={id} className="at-Checks" role="group" aria-label={label}>
      {offered.map(one => (
        <label key={one.label}>
          <input
            type="checkbox"
            checked={chosen.includes(one.value)}
            disabled={disabled || readonly}
            onChange={event => change(one.value, event.target.checked)}
          />
          {one.label}
        </label>
      ))}
    </div>
  );
}

/** What a picker offers; where files are taken, too, also Lab's file dialog. */
function PickerWidget(props: WidgetProps): React.JSX.Element {
  const { id, value, options, disabled, readonly, onChange, placeholder } = props;
  const fixed = !!(disabled || readonly);
  return (
    <span className="at-File">
      <Picker
        id={id}
        kind={options.picker as PickerKind}
        value={typeof value === 'string' ? value : ''}
        placeholder={placeholder}
        disabled={fixed}
        pattern={props.schema.pattern}
        onChange={onChange}
      />
      {options.files === true && <FileButton disabled={fixed} onChange={onChange} />}
    </span>
  );
}

function FileButton(props: { disabled: boolean; onChange: (path: string) => void }): React.JSX.Element {
  const panel = usePanel();
  return (
    <IconButton
      icon={folderIcon}
      label={panel.trans.__('Choose a file')}
      disabled={props.disabled}
      onClick={() => void chooseFile(panel).then(path => path && props.onChange(path))}
    />
  );
}

/** A path from the pipeline's folder, with Lab's file dialog. */
function FileWidget(props: WidgetProps): React.JSX.Element {
  const { id, value, disabled, readonly, onChange } = props;
  return (
    <span className="at-File">
      <input
        id={id}
        className="jp-mod-styled"
        value={typeof value === 'string' ? value : ''}
        disabled={disabled || readonly}
        onChange={event => onChange(event.target.value || undefined)}
      />
      <FileButton disabled={!!(disabled || readonly)} onChange={onChange} />
    </span>
  );
}

/** The widgets that `x-ui` names. */
export const WIDGETS: RegistryWidgetsType = {
  switch: SwitchWidget,
  checks: ChecksWidget,
  slider: SliderWidget,
  picker: PickerWidget,
  file: FileWidget,
  code: CodeWidget
};
