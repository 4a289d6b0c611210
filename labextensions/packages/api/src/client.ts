import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import createClient, { type Client } from 'openapi-fetch';

import { ApiError } from './errors';
import { isSaid, Phrases } from './said';
import type { paths } from './schema';

/** The platform's REST interface with its own types: `client.GET('/projects/{project}/runs', …)`. */
export type RestClient = Client<paths>;

/** The phrases of the person's language, once they are there. */
export type Speech = Promise<Phrases>;

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The REST client of this server; every path is passed on to the control plane. */
export function restClient(settings: ServerConnection.ISettings, speech: Speech): RestClient {
  return createClient<paths>({
    baseUrl: URLExt.join(settings.baseUrl, 'atelier/api'),
    fetch: request => send(settings, request, speech)
  });
}

async function send(
  settings: ServerConnection.ISettings,
  request: Request,
  speech: Speech
): Promise<Response> {
  const body = request.body === null ? undefined : await request.blob();
  const init: RequestInit = {
    method: request.method,
    headers: request.headers,
    body,
    signal: request.signal
  };
  try {
    const response = await ServerConnection.makeRequest(request.url, init, settings);
    return await translated(response, request.url, await speech);
  } catch (error) {
    if (error instanceof ServerConnection.NetworkError) {
      const phrases = await speech;
      const hint = phrases.say('Is it still running?');
      throw new ApiError(phrases.say('Your server does not answer.'), 'server_away', hint, 0);
    }
    throw error;
  }
}

/** An answer whose messages and hints are in the person's language. */
async function translated(response: Response, url: string, phrases: Phrases): Promise<Response> {
  const isJson = response.headers.get('content-type')?.includes('json');
  if (phrases.none || !isJson || !isSaid(url, response.ok)) {
    return response;
  }
  const text = await response.text();
  const { status, statusText, headers } = response;
  const body = text ? JSON.stringify(phrases.parse(text)) : null;
  return new Response(body, { status, statusText, headers });
}

/** The data of an answer, or its error thrown as `ApiError`. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    throw ApiError.from(error, response.status);
  }
  return data as T;
}

/** All items of a paged list, at most `most`. */
export async function all<T>(
  page: (cursor?: string) => Promise<Answer<{ items: T[]; next?: string | null }>>,
  most = 5000
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const { items: more, next } = await unwrap(page(cursor));
    items.push(...more);
    cursor = next ?? undefined;
  } while (cursor && items.length < most);
  return items;
}

/** A route of the server extension itself, which knows this machine's files. */
export async function local<T>(
  settings: ServerConnection.ISettings,
  speech: Speech,
  path: string,
  body?: unknown
): Promise<T> {
  const url = URLExt.join(settings.baseUrl, 'atelier', path);
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const answered = await ServerConnection.makeRequest(url, init, settings);
  const response = await translated(answered, url, await speech);
  const answer: unknown = await response.json().catch(() => undefined);
  if (!response.ok) {
    throw ApiError.from(answer, response.status);
  }
  return answer as T;
}
