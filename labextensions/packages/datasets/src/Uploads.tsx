import { bytesText, IconButton, describe, TextButton, useTrans } from '@atelier/ui';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { DatasetsModel } from './model';
import { Transfer } from './transfer';

/** What is on its way, with how far it is. */
export function Uploads({ model }: { model: DatasetsModel }): JSX.Element | null {
  const trans = useTrans();
  if (model.uploads.length === 0) {
    return null;
  }
  return (
    <ul className="at-Items" aria-label={trans.__('Uploads')}>
      {model.uploads.map((upload, at) => (
        <OneUpload key={at} upload={upload} onForget={() => model.forget(upload)} />
      ))}
    </ul>
  );
}

function OneUpload({ upload, onForget }: { upload: Transfer; onForget: () => void }): JSX.Element {
  const trans = useTrans();
  const failed = upload.state === 'failed';
  const { message, hint } = describe(upload.error ?? '');
  return (
    <li className="at-Upload">
      <div className="at-Line">
        <span className="at-Line-grow at-Ellipsis" title={upload.name}>
          {upload.name}
        </span>
        {failed && <TextButton label={trans.__('Go on')} onClick={() => void upload.run()} />}
        <IconButton icon={closeIcon} label={trans.__('Cancel the upload')} onClick={onForget} />
      </div>
      <progress
        value={upload.at}
        max={Math.max(1, upload.total)}
        aria-label={trans.__('Progress of %1', upload.name)}
      />
      <div className="at-Quiet at-Small" role="status">
        {failed ? [message, hint].filter(Boolean).join(' ') : words(trans, upload)}
      </div>
    </li>
  );
}

function words(trans: ReturnType<typeof useTrans>, upload: Transfer): string {
  const far = [bytesText(upload.at), bytesText(upload.total)] as const;
  return upload.state === 'reading'
    ? trans.__('Reading: %1 of %2', ...far)
    : trans.__('Sending: %1 of %2', ...far);
}
