import { Table } from '@atelier/runs';
import { bytesText, EmptyState, ErrorNotice, Loading, useLoaded, useTrans } from '@atelier/ui';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { downloadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { DatasetFile, DatasetsClient, Preview } from './model';

// What is larger is offered for download: the browser would hold all of it.
const LARGEST_MEDIUM = 200_000_000;

interface Of {
  client: DatasetsClient;
  dataset: string;
  version: number;
  file: DatasetFile;
}

/** A look into a file: the first rows of a table, the beginning of a text, a picture, a sound. */
export function Look(props: Of): JSX.Element {
  const { client, dataset, version, file } = props;
  const trans = useTrans();
  const { value, error, again } = useLoaded(
    () => client.preview(dataset, version, file.path),
    [client, dataset, version, file.path]
  );
  const label = trans.__('Download %1', file.path);
  return (
    <section className="at-Look" aria-label={file.path}>
      <div className="at-Line">
        <strong className="at-Ellipsis" title={file.path}>
          {file.path}
        </strong>
        <span className="at-Quiet">{bytesText(file.size)}</span>
        {value && <span className="at-Quiet">{value.media_type}</span>}
        <span className="at-Line-grow" />
        <a className="at-IconLink" href={contentUrl(props)} download aria-label={label} title={label}>
          <downloadIcon.react tag="span" aria-hidden="true" />
        </a>
      </div>
      {value ? (
        <Shown {...props} preview={value} />
      ) : error ? (
        <ErrorNotice error={error} retry={again} />
      ) : (
        <Loading />
      )}
    </section>
  );
}

function Shown(props: Of & { preview: Preview }): JSX.Element {
  const { preview } = props;
  const trans = useTrans();
  if (preview.problem) {
    return <EmptyState title={preview.problem} />;
  }
  switch (preview.kind) {
    case 'table':
      return <Rows preview={preview} title={props.file.path} />;
    case 'text':
      return (
        <>
          <pre className="at-Result-text" tabIndex={0}>
            {preview.text}
          </pre>
          {preview.more && <p className="at-Quiet at-Small">{trans.__('The file goes on.')}</p>}
        </>
      );
    case 'image':
    case 'audio':
    case 'video':
      return <Medium {...props} />;
    default:
      return <EmptyState title={trans.__('No preview for this kind of file')} />;
  }
}

function Rows({ preview, title }: { preview: Preview; title: string }): JSX.Element {
  const trans = useTrans();
  const table = React.useMemo(
    () => ({
      columns: preview.columns.map(column => column.name),
      hints: preview.columns.map(column => column.type),
      rows: preview.rows.map(row => row.map(cellOf)),
      more: false
    }),
    [preview]
  );
  return (
    <>
      <Table table={table} title={title} />
      <p className="at-Quiet at-Small">
        {preview.total === null
          ? trans._n('The first %1 row', 'The first %1 rows', preview.rows.length)
          : trans.__('%1 of %2 rows', preview.rows.length, preview.total)}
      </p>
    </>
  );
}

function cellOf(value: unknown): string | number | null {
  return typeof value === 'string' || typeof value === 'number' || value === null
    ? value
    : JSON.stringify(value);
}

function Medium(props: Of & { preview: Preview }): JSX.Element {
  const { client, dataset, version, file, preview } = props;
  const trans = useTrans();
  const small = file.size <= LARGEST_MEDIUM;
  const { value, error, again } = useLoaded(
    async () => (small ? client.content(dataset, version, file.path) : null),
    [client, dataset, version, file.path]
  );
  const url = useBlobUrl(value, preview.media_type);
  if (!small) {
    return <EmptyState title={trans.__('Too large to be shown here; download it.')} />;
  }
  if (!url) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  if (preview.kind === 'image') {
    return <img className="at-Result-image" src={url} alt={file.path} />;
  }
  return preview.kind === 'audio' ? (
    <audio controls src={url} aria-label={file.path} />
  ) : (
    <video className="at-Result-image" controls src={url} aria-label={file.path} />
  );
}

function useBlobUrl(blob: Blob | null | undefined, type: string): string {
  const [url, setUrl] = React.useState('');
  React.useEffect(() => {
    if (!blob) {
      return undefined;
    }
    const made = URL.createObjectURL(new Blob([blob], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob, type]);
  return url;
}

function contentUrl({ client, dataset, version, file }: Of): string {
  const path = ['projects', client.project, 'datasets', dataset, 'versions', String(version), 'content'];
  const query = URLExt.objectToQueryString({ path: file.path });
  return URLExt.join(PageConfig.getBaseUrl(), 'atelier/api', path.map(encodeURIComponent).join('/')) + query;
}
