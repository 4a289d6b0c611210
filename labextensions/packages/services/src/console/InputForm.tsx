import { FileInput, IconButton, TextButton, useTrans } from '@atelier/ui';
import { addIcon, closeIcon, HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { numbersOf } from './image';
import {
  isNumber,
  isTable,
  Metadata,
  Picture,
  pictureOf,
  Row,
  tableRequest,
  Tensor,
  tensorRequest
} from './tensors';

/** A form for the inputs of a model; `onChange` gets what makes the request, and throws where a value is wrong. */
export function InputForm(props: {
  metadata: Metadata;
  onChange: (make: () => unknown) => void;
}): JSX.Element {
  const { metadata, onChange } = props;
  const table = isTable(metadata);
  const picture = React.useMemo(() => pictureOf(metadata), [metadata]);
  const [rows, setRows] = React.useState<Row[]>(() => [firstRow(metadata)]);
  const [data, setData] = React.useState<Record<string, string>>({});
  React.useEffect(
    () => onChange(() => (table ? tableRequest(metadata, rows) : tensorRequest(metadata, data))),
    [metadata, rows, data]
  );
  const fromPicture = (numbers: number[]): void => {
    if (table) {
      const row = Object.fromEntries(metadata.inputs.map(({ name }, at) => [name, String(numbers[at])]));
      setRows(old => [...old.slice(0, -1), row]);
    } else {
      setData({ [metadata.inputs[0].name]: JSON.stringify(numbers) });
    }
  };
  return (
    <>
      {picture && <PictureInput picture={picture} onNumbers={fromPicture} />}
      {table ? (
        <TableInput metadata={metadata} rows={rows} onChange={setRows} />
      ) : (
        metadata.inputs.map(input => (
          <TensorInput
            key={input.name}
            input={input}
            text={data[input.name] ?? ''}
            onChange={text => setData(old => ({ ...old, [input.name]: text }))}
          />
        ))
      )}
    </>
  );
}

/** Numbers begin with 0, so that a first request can be sent at once. */
function firstRow({ inputs }: Metadata): Row {
  return Object.fromEntries(
    inputs.map(input => [input.name, isNumber(input) ? '0' : input.datatype === 'BOOL' ? 'false' : ''])
  );
}

function TableInput(props: {
  metadata: Metadata;
  rows: Row[];
  onChange: (rows: Row[]) => void;
}): JSX.Element {
  const { metadata, rows, onChange } = props;
  const trans = useTrans();
  const set = (at: number, name: string, value: string): void =>
    onChange(rows.map((row, index) => (index === at ? { ...row, [name]: value } : row)));
  return (
    <>
      <div className="at-Table-box at-Inputs" role="region" tabIndex={0} aria-label={trans.__('Inputs')}>
        <table className="at-Grid">
          <thead>
            <tr>
              <th scope="col">
                <span className="at-visually-hidden">{trans.__('Row')}</span>
              </th>
              {metadata.inputs.map(({ name, datatype }) => (
                <th key={name} scope="col" title={`${name}: ${datatype}`}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              <tr key={at}>
                <td>
                  <IconButton
                    icon={closeIcon}
                    label={trans.__('Remove row %1', at + 1)}
                    disabled={rows.length === 1}
                    onClick={() => onChange(rows.filter((_, index) => index !== at))}
                  />
                </td>
                {metadata.inputs.map(input => (
                  <td key={input.name}>
                    <Cell
                      input={input}
                      label={trans.__('%1, row %2', input.name, at + 1)}
                      value={row[input.name] ?? ''}
                      onChange={value => set(at, input.name, value)}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <TextButton
        icon={addIcon}
        label={trans.__('Add row')}
        onClick={() => onChange([...rows, { ...rows[rows.length - 1] }])}
      />
    </>
  );
}

function Cell(props: {
  input: Tensor;
  label: string;
  value: string;
  onChange: (value: string) => void;
}): JSX.Element {
  const { input, label, value, onChange } = props;
  if (input.datatype === 'BOOL') {
    return (
      <input
        type="checkbox"
        aria-label={label}
        checked={value === 'true'}
        onChange={event => onChange(String(event.target.checked))}
      />
    );
  }
  return (
    <input
      className="at-Input"
      type={isNumber(input) ? 'number' : 'text'}
      step={input.datatype.startsWith('FP') ? 'any' : 1}
      aria-label={label}
      value={value}
      onChange={event => onChange(event.target.value)}
    />
  );
}

function TensorInput(props: { input: Tensor; text: string; onChange: (text: string) => void }): JSX.Element {
  const { name, datatype, shape } = props.input;
  const trans = useTrans();
  return (
    <label className="at-Form-field">
      <span>
        {name}{' '}
        <code className="at-Quiet">
          {datatype} [{shape.map(size => (size < 0 ? trans.__('any') : size)).join(', ')}]
        </code>
      </span>
      <textarea
        className="at-Input at-Area at-Code"
        rows={4}
        spellCheck={false}
        placeholder="[0, 0, 0]"
        value={props.text}
        onChange={event => props.onChange(event.target.value)}
      />
    </label>
  );
}

const MOSTS = [1, 16, 255];

function PictureInput(props: { picture: Picture; onNumbers: (numbers: number[]) => void }): JSX.Element {
  const { picture, onNumbers } = props;
  const trans = useTrans();
  const [file, setFile] = React.useState<File | null>(null);
  const [most, setMost] = React.useState(picture.width <= 8 ? 16 : 255);
  const [inverted, setInverted] = React.useState(true);
  const [error, setError] = React.useState('');
  React.useEffect(() => {
    if (file) {
      numbersOf(file, picture, { most, inverted }).then(
        numbers => {
          setError('');
          onNumbers(numbers);
        },
        () => setError(trans.__('The browser cannot read this image.'))
      );
    }
  }, [file, most, inverted]);
  return (
    <div className="at-Line at-Picture">
      <FileInput label={trans.__('From an image')} file={file} accept="image/*" onChange={setFile} />
      <span className="at-Quiet">{trans.__('scaled to %1 × %2', picture.width, picture.height)}</span>
      <label>
        {trans.__('White is')}{' '}
        <HTMLSelect value={most} onChange={event => setMost(Number(event.target.value))}>
          {MOSTS.map(number => (
            <option key={number} value={number}>
              {number}
            </option>
          ))}
        </HTMLSelect>
      </label>
      <label className="at-Form-show">
        <input type="checkbox" checked={inverted} onChange={event => setInverted(event.target.checked)} />
        {trans.__('Dark on light')}
      </label>
      {error && <span role="alert">{error}</span>}
    </div>
  );
}
