import { getGlobalDispatcher, request, type Dispatcher } from 'undici';
import { backoffDelay, type BackoffRule } from '../model/backoff.js';
import type { Clock, ProviderData } from '../model/ports.js';
import type { InstanceResource, ProblemResource } from '../model/resources.js';
import { ok, type Result } from '../model/result.js';
import { tlsFailure } from '../model/tls_failure.js';

/** What the control API says of a registration at one moment. */
export type Acceptance =
  /** The controller lists the instance at the address that was registered. */
  | { readonly kind: 'accepted' }
  /** The controller has read the node and leaves it out. */
  | { readonly kind: 'refused'; readonly problem: string }
  /** It has not read the node yet, or cannot be asked; `reason` is a sentence. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** Asks once. Never rejects. */
export type AskAcceptance = (signal: AbortSignal) => Promise<Acceptance>;

/** Asks `GET /v1/services/{s}/instances/{id}`, and `GET /v1/problems?service={s}` for what is said of `path`. */
export function askAcceptance(options: {
  /** Like http://127.0.0.1:8090. */
  readonly api: string;
  readonly service: string;
  readonly data: ProviderData;
  /** The provider node. */
  readonly path: string;
  readonly token?: () => string | undefined;
  /** How to connect, asked before every question: certificates may be replaced too. Default: as undici does by itself. */
  readonly connections?: () => Result<Dispatcher, string>;
  readonly clock: Clock;
  /** Of one question. Default 2 s. */
  readonly timeoutMs?: number;
}): AskAcceptance {
  const { service, data, path } = options;
  const base = options.api.replace(/\/+$/, '');
  return async (signal) => {
    const token = options.token?.();
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    using late = options.clock.deadline(options.timeoutMs ?? 2_000);
    const deadline = AbortSignal.any([signal, late.signal]);
    const dispatcher = (options.connections ?? BY_ITSELF)();
    if (!dispatcher.ok)
      return { kind: 'unknown', reason: `the control API is not asked: ${dispatcher.error}` };
    const get = async (place: string): Promise<{ readonly status: number; readonly value: unknown }> => {
      const { statusCode, body } = await request(base + place, {
        ...{ headers, signal: deadline, dispatcher: dispatcher.value },
      });
      const text = await body.text();
      return { status: statusCode, value: statusCode === 200 ? (JSON.parse(text) as unknown) : null };
    };
    try {
      const name = encodeURIComponent(service);
      const problems = await get(`/v1/problems?service=${name}`);
      const problem = problemOf(problems.value, path);
      if (problem !== null) return { kind: 'refused', problem };
      const seen = await get(`/v1/services/${name}/instances/${encodeURIComponent(data.id)}`);
      if (isAt(seen.value, data)) return { kind: 'accepted' };
      return { kind: 'unknown', reason: unseen(seen.status) };
    } catch (error) {
      const tls = tlsFailure(error);
      const text = error instanceof Error ? error.message || error.name : String(error);
      const why = tls === null ? text : `${tls.reason}; ${tls.remedy}`;
      return { kind: 'unknown', reason: `the control API at ${options.api} does not answer: ${why}` };
    }
  };
}

const BY_ITSELF = () => ok(getGlobalDispatcher());

/** What is said of the node at `path` itself; a note refuses nothing. */
function problemOf(value: unknown, path: string): string | null {
  const items = (value as { readonly items?: readonly ProblemResource[] } | null)?.items ?? [];
  const found = items.find((problem) => problem.path === path && problem.severity === 'error');
  return found ? `${found.code}: ${found.message}` : null;
}

function isAt(value: unknown, { host, port }: ProviderData): boolean {
  const seen = value as Pick<InstanceResource, 'registered' | 'host' | 'port'> | null;
  return seen?.registered === true && seen.host === host && seen.port === port;
}

function unseen(status: number): string {
  if (status === 401 || status === 403)
    return `the control API answered ${String(status)} (EBBGATE_TOKEN must contain its token, or EBBGATE_API_CERT name a certificate that one is for)`;
  if (status === 200 || status === 404)
    return 'the controller does not list it: does it read the same ZooKeeper and registry root?';
  return `the control API answered ${String(status)}`;
}

/** A registration takes a moment to be read: an `unknown` is reported only after so many in a row. */
const UNKNOWN_REPORTED_AT = 5;
/** What is refused may stay so for days: the waits grow. */
const BACKOFF: BackoffRule = { first: 500, most: 30_000, jitter: 0 };

/**
 * Asks until the controller accepts or `signal` aborts, first every `everyMs`, then less and less often. `onTurn` hears each answer
 * that differs from the one before.
 */
export async function watchAcceptance(options: {
  readonly ask: AskAcceptance;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onTurn: (acceptance: Acceptance) => void;
  readonly everyMs?: number;
}): Promise<void> {
  const { ask, clock, signal, onTurn } = options;
  const backoff = { ...BACKOFF, first: options.everyMs ?? BACKOFF.first };
  let grown = 0;
  let said = '';
  let unknown = 0;
  const over = (): boolean => signal.aborted;
  while (!over()) {
    const answer = await ask(signal);
    if (over()) return;
    unknown = answer.kind === 'unknown' ? unknown + 1 : 0;
    const text = JSON.stringify(answer);
    if (text !== said && (answer.kind !== 'unknown' || unknown >= UNKNOWN_REPORTED_AT)) {
      onTurn(answer);
      said = text;
    }
    if (answer.kind === 'accepted') return;
    await clock.sleep(backoffDelay(grown, backoff, 0), signal);
    if (unknown === 0 || unknown >= UNKNOWN_REPORTED_AT) grown += 1;
  }
}
