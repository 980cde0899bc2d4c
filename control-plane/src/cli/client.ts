import { readFileSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import { systemClock } from '../clock.js';
import { Away, CliFailure, EXIT, Refused, type ShownProblem } from './failure.js';
import { staleLine } from './staleness.js';
import { withSecretFiles } from './secret_files.js';
import { checkName, RESERVED_ACTORS } from '../model/names.js';
import type { Terminal } from './terminal.js';

export const DEFAULT_API = 'http://127.0.0.1:8090';
/** Waits are asked for in slices, so that a lost connection is noticed. */
const ANSWER_MS = 10_000;

/** The flags by which the API is found. */
export interface ApiFlags {
  readonly api?: string;
  readonly tokenFile?: string;
}

export interface Answer<T> {
  readonly body: T;
  /** Without quotes. */
  readonly etag: string | null;
}

/** The control API. Every call throws `Refused` for a problem and `Away` when there is no answer. */
export interface ApiClient {
  readonly url: string;
  /** `waitMs` is asked of the API; the answer may take that much longer. */
  get<T>(path: string, options?: { waitMs?: number; signal?: AbortSignal }): Promise<Answer<T>>;
  /** Sends a fresh `Idempotency-Key`. */
  post<T>(path: string, body: object, query?: Query): Promise<Answer<T>>;
  /** Needs the etag that was read, or `*`. */
  patch<T>(path: string, body: object, etag: string, query?: Query): Promise<Answer<T>>;
}

export type Query = Readonly<Record<string, string | undefined>>;

/** Joins path segments, each encoded. */
export function path(...segments: readonly string[]): string {
  return `/v1/${segments.map(encodeURIComponent).join('/')}`;
}

/** Reads flags and environment; what is wrong there is a usage failure. */
export function createClient(flags: ApiFlags, terminal: Terminal): ApiClient {
  const url = apiUrl(flags.api ?? (terminal.env['EBBGATE_API'] || DEFAULT_API));
  const headers = {
    'X-Ebbgate-Actor': actor(terminal),
    ...authorization(flags, terminal),
  };
  let shown: string | null = null;
  const showStale = (header: string | string[] | undefined): void => {
    const line = staleLine(typeof header === 'string' ? header : undefined);
    if (line !== null && line !== shown) terminal.err(`${line}\n`);
    shown = line ?? shown;
  };
  const send = async <T>(
    method: Dispatcher.HttpMethod,
    target: string,
    init: { body?: object; headers?: Record<string, string>; signal?: AbortSignal; ms?: number } = {},
  ): Promise<Answer<T>> => {
    using late = systemClock.deadline(ANSWER_MS + (init.ms ?? 0));
    const signal = init.signal ? AbortSignal.any([late.signal, init.signal]) : late.signal;
    try {
      const { request } = await import('undici'); // fetch would refuse ports like 10080
      const response = await request(url + target, {
        method,
        headers: {
          ...headers,
          ...init.headers,
          ...(init.body ? { 'Content-Type': 'application/json' } : {}),
        },
        ...(init.body ? { body: JSON.stringify(init.body) } : {}),
        signal,
      });
      showStale(response.headers['x-ebbgate-stale']);
      return await read<T>(response, url);
    } catch (error) {
      if (error instanceof CliFailure) throw error;
      throw away(error, url);
    }
  };
  return {
    url,
    get: (target, { waitMs, signal } = {}) =>
      send('GET', waitMs === undefined ? target : `${target}?wait=${String(waitMs)}ms`, {
        ...(signal ? { signal } : {}),
        ms: waitMs ?? 0,
      }),
    post: (target, body, query = {}) =>
      send('POST', target + queryText(query), { body, headers: { 'Idempotency-Key': terminal.uuid() } }),
    patch: (target, body, etag, query = {}) =>
      send('PATCH', target + queryText(query), {
        body,
        headers: { 'If-Match': etag === '*' ? '*' : `"${etag}"` },
      }),
  };
}

function queryText(query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

function apiUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:\/\//.test(text))
    throw new CliFailure(EXIT.usage, `--api must be a URL like ${DEFAULT_API}, not ${JSON.stringify(text)}`);
  return text.replace(/\/+$/, '');
}

function authorization(flags: ApiFlags, { env }: Terminal): Record<string, string> {
  const token = flags.tokenFile === undefined ? tokenOf(env) : tokenFrom(flags.tokenFile);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function tokenOf(env: Terminal['env']): string | undefined {
  const secrets = withSecretFiles(env);
  if (!secrets.ok) throw new CliFailure(EXIT.usage, secrets.error.join('; '));
  return secrets.value['EBBGATE_TOKEN'];
}

function tokenFrom(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CliFailure(
      EXIT.usage,
      `--token-file: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** EBBGATE_ACTOR as it is, or the login name with what the API would not take replaced by `-`. */
function actor({ env, user }: Terminal): string {
  const given = env['EBBGATE_ACTOR'];
  if (given) {
    const checked = checkName('actor', given, 'EBBGATE_ACTOR');
    if (!checked.ok) throw new CliFailure(EXIT.usage, checked.error.message);
    if (RESERVED_ACTORS.includes(given))
      throw new CliFailure(EXIT.usage, `EBBGATE_ACTOR must not be ${RESERVED_ACTORS.join(' or ')}`);
    return given;
  }
  const name = user
    .replaceAll(/[^A-Za-z0-9._@+:/-]/gu, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 128);
  return RESERVED_ACTORS.includes(name) ? `user:${name}` : name || 'unknown';
}

async function read<T>(response: Dispatcher.ResponseData, url: string): Promise<Answer<T>> {
  const { statusCode, headers } = response;
  const body = parse(await response.body.text());
  if (statusCode >= 200 && statusCode < 300 && body !== undefined)
    return {
      body: body as T,
      etag: typeof headers['etag'] === 'string' ? headers['etag'].replaceAll('"', '') : null,
    };
  if (isProblem(body)) throw new Refused(body);
  throw new Away(`${url} answered ${String(statusCode)}, and not as the control API does`, [
    'next: check --api or EBBGATE_API',
  ]);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isProblem(body: unknown): body is ShownProblem {
  return (
    typeof body === 'object' &&
    body !== null &&
    typeof (body as Partial<ShownProblem>).code === 'string' &&
    typeof (body as Partial<ShownProblem>).detail === 'string'
  );
}

function away(error: unknown, url: string): Away {
  const { code, message, name } = (
    error instanceof Error ? error : new Error(String(error))
  ) as NodeJS.ErrnoException;
  const why = name === 'TimeoutError' ? 'no answer in time' : (code ?? message);
  return new Away(`the control API at ${url} cannot be reached: ${why}`, [
    'next: check that the controller runs, and --api or EBBGATE_API',
  ]);
}

/** True for failures that may pass by themselves: nobody answers, or the controller is starting or is not the leader. */
export function mayPass(error: unknown): error is CliFailure {
  return error instanceof CliFailure && error.exit === EXIT.unavailable;
}
