/** What a request is made of. */
export interface Asked {
  url: string;
  method: 'GET' | 'POST';
  body: string;
  revision: number | undefined;
}

const KEY = '$ATELIER_KEY';

/** The request as a command. */
export function curl({ url, method, body, revision }: Asked): string {
  const lines = [
    `curl ${quoted(url)}`,
    `-H "Authorization: Bearer ${KEY}"`,
    ...(revision ? [`-H 'X-Atelier-Revision: ${revision}'`] : []),
    ...(method === 'POST' ? [`-H 'Content-Type: application/json'`, `-d ${quoted(compact(body))}`] : [])
  ];
  return lines.join(' \\\n  ');
}

/** The request as Python; the standard tool of most people. */
export function python({ url, method, body, revision }: Asked): string {
  const headers = [
    `    "Authorization": f"Bearer {os.environ['ATELIER_KEY']}",`,
    ...(revision ? [`    "X-Atelier-Revision": "${revision}",`] : [])
  ];
  const call =
    method === 'POST'
      ? `httpx.post(${JSON.stringify(url)}, headers=headers, json=body)`
      : `httpx.get(${JSON.stringify(url)}, headers=headers)`;
  return [
    'import json',
    'import os',
    '',
    'import httpx',
    '',
    'headers = {',
    ...headers,
    '}',
    ...(method === 'POST' ? [`body = json.loads(${pythonText(compact(body))})`] : []),
    `answer = ${call}`,
    'answer.raise_for_status()',
    'print(answer.json())'
  ].join('\n');
}

function compact(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body));
  } catch {
    return body;
  }
}

/** As one word of a shell. */
function quoted(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

/** JSON's way to write a text is Python's, too. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}
