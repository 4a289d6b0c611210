import { bytesText, ErrorNotice, Loading, RowList, TextButton, useLoaded, useTrans } from '@atelier/ui';
import * as React from 'react';

import { DatasetFile, DatasetsClient } from './model';
import { Look } from './Look';

/** The files of a version, and a look into the chosen one. */
export function Files(props: { client: DatasetsClient; dataset: string; version: number }): JSX.Element {
  const { client, dataset, version } = props;
  const trans = useTrans();
  const [files, setFiles] = React.useState<DatasetFile[]>([]);
  const [picked, setPicked] = React.useState('');
  const [cursor, setCursor] = React.useState<string | undefined>(undefined);
  const { value, error, busy, again } = useLoaded(
    () => client.files(dataset, version, cursor),
    [client, dataset, version, cursor]
  );
  React.useEffect(() => {
    if (value) {
      setFiles(old => [...old, ...value.items.filter(file => !old.some(one => one.path === file.path))]);
    }
  }, [value]);
  const file = files.find(one => one.path === picked) ?? files[0];
  if (!file) {
    return busy ? <Loading /> : <ErrorNotice error={error} retry={again} />;
  }
  const next = value?.next;
  const more = next ? (
    <TextButton label={trans.__('Show more files')} onClick={() => setCursor(next)} />
  ) : null;
  return (
    <div className="at-Files">
      <ErrorNotice error={error} retry={again} />
      {(files.length > 1 || more) && (
        <div className="at-Files-list">
          <RowList
            label={trans.__('Files')}
            items={files}
            idOf={one => one.path}
            nameOf={one => one.path}
            draw={one => <FileRow file={one} />}
            onOpen={one => setPicked(one.path)}
            chosen={new Set([file.path])}
            footer={more}
          />
        </div>
      )}
      <Look key={file.digest} client={client} dataset={dataset} version={version} file={file} />
    </div>
  );
}

function FileRow({ file }: { file: DatasetFile }): JSX.Element {
  return (
    <div className="at-Line">
      <span className="at-Line-grow at-Ellipsis" title={file.path}>
        {file.path}
      </span>
      <span className="at-Quiet at-Small">{bytesText(file.size)}</span>
    </div>
  );
}
