import { EmptyState, useTrans } from '@atelier/ui';
import * as React from 'react';

import { Field, fieldsOf, Signature } from './signature';

/** What a model takes and gives, as tables. */
export function SignatureView({ signature }: { signature: Signature }): JSX.Element {
  const trans = useTrans();
  const inputs = fieldsOf(signature, 'inputs');
  const outputs = fieldsOf(signature, 'outputs');
  const params = fieldsOf(signature, 'params');
  if (inputs.length + outputs.length + params.length === 0) {
    return (
      <EmptyState title={trans.__('No signature')}>
        {trans.__('The model does not say what it takes and gives. MLflow infers it from an example.')}
      </EmptyState>
    );
  }
  return (
    <div className="at-Pad at-Signature" tabIndex={0} role="region" aria-label={trans.__('Signature')}>
      <Fields title={trans.__('Inputs')} fields={inputs} />
      <Fields title={trans.__('Outputs')} fields={outputs} />
      {params.length > 0 && <Fields title={trans.__('Parameters')} fields={params} />}
    </div>
  );
}

function Fields({ title, fields }: { title: string; fields: Field[] }): JSX.Element {
  const trans = useTrans();
  return (
    <section aria-label={title}>
      <h3 className="at-Result-title">
        {title} <span className="at-Quiet">{fields.length}</span>
      </h3>
      {fields.length === 0 ? (
        <p className="at-Quiet">{trans.__('Not said.')}</p>
      ) : (
        <table className="at-Grid">
          <thead>
            <tr>
              <th scope="col">{trans.__('Name')}</th>
              <th scope="col">{trans.__('Type')}</th>
              <th scope="col">{trans.__('Required')}</th>
            </tr>
          </thead>
          <tbody>
            {fields.map((field, at) => (
              <tr key={at}>
                <th scope="row" className="at-Ellipsis" title={field.name}>
                  {field.name || '–'}
                </th>
                <td>
                  <code>{field.type}</code>
                </td>
                <td>{field.required ? trans.__('yes') : trans.__('no')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
