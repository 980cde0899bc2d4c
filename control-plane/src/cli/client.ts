import { readFileSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import { systemClock } from '../clock.js';
import type { Connections } from '../api/tls/outgoing.js';
import { readClientIdentity } from '../disk/api_identity.js';
import { apiFiles, type ApiFileFlags } from './api_files.js';
import { Away, CliFailure, EXIT, Refused, type ShownProblem } from './failure.js';
import { staleLine } from './staleness.js';
import { withSecretFiles } from './secret_files.js';
import { DEFAULT_API, inTurn, parseApiAddresses } from '../model/api_addresses.js';
import { checkName, RESERVED_ACTORS } from '../model/names.js';
import { tlsFailure } from '../model/tls_failure.js';
import type { Terminal } from './terminal.js';

/** Waits are asked for in slices, so that a lost connection is noticed. */
const ANSWER_MS = 10_000;
/** As long is a read waited for where another controller can be asked. */
const READ_MS = 3_000;

/**
 * A change is tried again until another controller leads: longer than a session in ZooKeeper. Of several, one that has just been
 * started may have read nothing yet, and a change by a client certificate is taken by the leader alone.
 */
const LEADERLESS = {
  ...{ tries: 12, pauseMs: 1_000 },
  ofOne: ['no_leader'],
  amongSeveral: ['no_leader', 'not_leader', 'not_ready'],
} as const;

/** The flags by which the API is found. */
export interface ApiFlags extends ApiFileFlags {
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
  /** `waitMs` is asked of the API; the answer may take that much longer, or `ms`. */
  get<T>(path: string, options?: { waitMs?: number; ms?: number; signal?: AbortSignal }): Promise<Answer<T>>;
  /** Sends a fresh `Idempotency-Key`. The answer may take `ms` longer than usual. */
  post<T>(path: string, body: object, query?: Query, ms?: number): Promise<Answer<T>>;
  /** Sends a fresh `Idempotency-Key`. */
  delete<T>(path: string, query?: Query): Promise<Answer<T>>;
  /** Needs the etag that was read, or `*`. */
  patch<T>(path: string, body: object, etag: string, query?: Query): Promise<Answer<T>>;
}

/** What a request has besides its method and target. */
interface Init {
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** How much longer the answer may take. */
  readonly ms?: number;
}

export type Query = Readonly<Record<string, string | undefined>>;

/** Joins path segments, each encoded. */
export function path(...segments: readonly string[]): string {
  return `/v1/${segments.map(encodeURIComponent).join('/')}`;
}

/**
 * Reads flags and environment; what is wrong there is a usage failure. Of several controllers it asks the one that answered last,
 * and goes on at the next where there is no answer, or none now; a change is repeated there under its `Idempotency-Key`, and while no controller leads.
 */
export function createClient(flags: ApiFlags, terminal: Terminal): ApiClient {
  const addresses = apiAddresses(flags.api ?? (terminal.env['EBBGATE_API'] || DEFAULT_API));
  const connected = connector(flags, terminal);
  let first = 0;
  const headers = {
    'X-Ebbgate-Actor': actor(terminal),
    ...authorization(flags, terminal),
  };
  const passing = addresses.length > 1 ? LEADERLESS.amongSeveral : LEADERLESS.ofOne;
  let shown: string | null = null;
  const showStale = (header: string | string[] | undefined): void => {
    const line = staleLine(typeof header === 'string' ? header : undefined);
    if (line !== null && line !== shown) terminal.err(`${line}\n`);
    shown = line ?? shown;
  };
  const send = async <T>(
    method: Dispatcher.HttpMethod,
    target: string,
    init: Init = {},
  ): Promise<Answer<T>> => {
    for (let tries = 1; ; tries += 1)
      try {
        return await sendInTurn<T>(method, target, init);
      } catch (error) {
        const isLeaderless = method !== 'GET' && isOneOf(passing, error);
        const signal = init.signal ?? terminal.interrupted();
        if (!isLeaderless || tries === LEADERLESS.tries || signal.aborted) throw error;
        if (tries === 1) terminal.err(`ebbgate: ${error.message}\n  trying again for some seconds\n`);
        await terminal.pause(LEADERLESS.pauseMs, signal);
      }
  };
  const sendInTurn = async <T>(
    method: Dispatcher.HttpMethod,
    target: string,
    init: Init,
  ): Promise<Answer<T>> => {
    const failures: CliFailure[] = [];
    for (const address of inTurn(addresses, first)) {
      try {
        const answer = await sendTo<T>(address, method, target, init);
        first = addresses.indexOf(address);
        return answer;
      } catch (error) {
        if (!mayPass(error) || init.signal?.aborted === true) throw error;
        failures.push(error);
      }
    }
    throw failures.find((one) => isOneOf(passing, one)) ?? worstOf(failures);
  };
  const sendTo = async <T>(
    url: string,
    method: Dispatcher.HttpMethod,
    target: string,
    init: Init,
  ): Promise<Answer<T>> => {
    const isRead = method === 'GET' && addresses.length > 1;
    using late = systemClock.deadline((isRead ? READ_MS : ANSWER_MS) + (init.ms ?? 0));
    const signal = init.signal ? AbortSignal.any([late.signal, init.signal]) : late.signal;
    try {
      const { request } = await import('undici'); // fetch would refuse ports like 10080
      const response = await request(url + target, {
        method,
        ...(await connected()),
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
    get: (target, { waitMs, ms = 0, signal } = {}) =>
      send('GET', waitMs === undefined ? target : `${target}?wait=${String(waitMs)}ms`, {
        ...(signal ? { signal } : {}),
        ms: waitMs ?? ms,
      }),
    post: (target, body, query = {}, ms = 0) =>
      send('POST', target + queryText(query), {
        ...{ body, ms },
        headers: { 'Idempotency-Key': terminal.uuid() },
      }),
    delete: (target, query = {}) =>
      send('DELETE', target + queryText(query), { headers: { 'Idempotency-Key': terminal.uuid() } }),
    patch: (target, body, etag, query = {}) =>
      send('PATCH', target + queryText(query), {
        body,
        headers: { 'If-Match': etag === '*' ? '*' : `"${etag}"`, 'Idempotency-Key': terminal.uuid() },
      }),
  };
}

function queryText(query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

function apiAddresses(text: string): readonly string[] {
  const addresses = parseApiAddresses(text);
  if (!addresses.ok) throw new CliFailure(EXIT.usage, `--api ${addresses.error}`);
  return addresses.value;
}

/** How to connect; without files as undici does by itself. Files that cannot be used are a usage failure. */
function connector(flags: ApiFlags, terminal: Terminal): () => Promise<{ readonly dispatcher?: Dispatcher }> {
  const files = apiFiles(flags, terminal.env);
  if (!files.ok) throw new CliFailure(EXIT.usage, files.error.join('; '));
  const given = files.value;
  if (given === null) return () => Promise.resolve({});
  let connections: Promise<Connections> | undefined;
  return async () => {
    connections ??= import('../api/tls/outgoing.js').then(({ connectionsOf }) =>
      connectionsOf(() => readClientIdentity(given)),
    );
    const dispatcher = (await connections)();
    if (dispatcher.ok) return { dispatcher: dispatcher.value };
    throw new CliFailure(EXIT.usage, dispatcher.error);
  };
}

function isOneOf(codes: readonly string[], error: unknown): error is Refused {
  return error instanceof Refused && codes.includes(error.problem.code);
}

/** Of what every controller has failed with: what one of them said, else that none can be reached. */
function worstOf(failures: readonly CliFailure[]): CliFailure {
  const [only, ...more] = failures as [CliFailure, ...CliFailure[]];
  const said = failures.find((one) => one instanceof Refused);
  if (said !== undefined || more.length === 0) return said ?? only;
  const reasons = failures.map((one) => (one instanceof Away ? one.reason : one.message));
  return new Away(reasons.join('; '), only.lines);
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
  const tls = tlsFailure(error);
  if (tls !== null)
    return new Away(`the control API at ${url} is not asked: ${tls.reason}`, [`next: ${tls.remedy}`]);
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
