import { getGlobalDispatcher, request, type Dispatcher } from 'undici';
import type { Clock } from '../model/ports.js';
import type { AskDrained, DrainAnswer } from './drain.js';
import type { InstanceResource } from '../model/resources.js';
import { ok, type Result } from '../model/result.js';
import { tlsFailure } from '../model/tls_failure.js';

/** The members of an InstanceResource that decide; whatever else the API sends is not looked at. */
type Seen = Pick<InstanceResource, 'leaving' | 'drain'>;

/**
 * Asks `GET /v1/services/{s}/instances/{id}`. `drained` only when the controller has seen this instance leave
 * **and** calls it drained: a proof of before the leaving proves nothing about it.
 */
export function askApi(options: {
  /** Like http://127.0.0.1:8090. */
  readonly api: string;
  readonly service: string;
  readonly instance: string;
  /** Asked before every question: a token may be replaced while an instance runs. */
  readonly token?: () => string | undefined;
  /** How to connect, asked before every question: certificates may be replaced too. Default: as undici does by itself. */
  readonly connections?: () => Result<Dispatcher, string>;
  readonly clock: Clock;
  /** Of one question. Default 2 s. */
  readonly timeoutMs?: number;
}): AskDrained {
  const { service, instance } = options;
  const path = `/v1/services/${encodeURIComponent(service)}/instances/${encodeURIComponent(instance)}`;
  const url = options.api.replace(/\/+$/, '') + path;
  return async (signal) => {
    const token = options.token?.();
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    using late = options.clock.deadline(options.timeoutMs ?? 2_000);
    const deadline = AbortSignal.any([signal, late.signal]);
    const dispatcher = (options.connections ?? BY_ITSELF)();
    if (!dispatcher.ok) return { kind: 'away', reason: `the control API is not asked: ${dispatcher.error}` };
    try {
      const { statusCode, body } = await request(url, {
        ...{ headers, signal: deadline, dispatcher: dispatcher.value },
      });
      const text = await body.text();
      return statusCode === 200 ? answerOf(text) : refused(statusCode, text);
    } catch (error) {
      return {
        kind: 'away',
        reason: `the control API at ${options.api} does not answer: ${reasonOf(error)}`,
      };
    }
  };
}

const BY_ITSELF = () => ok(getGlobalDispatcher());

function answerOf(text: string): DrainAnswer {
  const seen = parse(text);
  if (seen === undefined)
    return { kind: 'away', reason: 'the control API answered something that is no instance' };
  if (!seen.leaving) return { kind: 'waiting', waiting_for: ['the controller to see this instance leave'] };
  if (seen.drain?.drained === true) return { kind: 'drained' };
  return {
    kind: 'waiting',
    waiting_for: seen.drain?.waiting_for ?? ['the controller to drain this instance'],
  };
}

function parse(text: string): Seen | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('leaving' in value) || !('drain' in value)) return;
    return value as Seen;
  } catch {
    return undefined;
  }
}

function refused(status: number, text: string): DrainAnswer {
  const hint =
    status === 401 || status === 403
      ? ' (EBBGATE_TOKEN must contain its token, or EBBGATE_API_CERT name a certificate that one is for)'
      : status === 404
        ? ' (the controller does not know this instance: does it read the same ZooKeeper and registry root?)'
        : '';
  // Another server's 404 says nothing of this instance.
  const kind = status === 404 && codeOf(text) === 'not_found' ? 'unknown' : 'away';
  return { kind, reason: `the control API answered ${String(status)}${hint}` };
}

function codeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly code?: unknown } | null)?.code;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'timed out';
  const tls = tlsFailure(error);
  if (tls !== null) return `${tls.reason}; ${tls.remedy}`;
  return error.message || ('code' in error ? String(error.code) : error.name);
}
