import { request } from 'undici';
import type { ForwardTo } from '../model/control_plane.js';
import { err, ok } from '../model/result.js';
import { isBeforeRequest, tlsFailure } from '../model/tls_failure.js';
import type { Connections } from './tls/outgoing.js';

/** Longer than every wait that a change may ask for. */
const ANSWER_MS = 60_000;

/** Failures that come before anything is sent. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT'],
]);

/** Forwards by HTTP, over `connections`. */
export function forwardByHttp(connections: Connections): ForwardTo {
  return async (address, { method, path, headers, body }, signal) => {
    const dispatcher = connections();
    if (!dispatcher.ok) return err({ reason: dispatcher.error, maybe: false });
    try {
      // A connection of its own: one that was kept may have been closed by then, and nobody could say whether it was done.
      const limits = { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, reset: true };
      const sent = { method: method as 'POST' | 'PATCH', headers, body, signal, ...limits };
      const answer = await request(`${address}${path}`, { ...sent, dispatcher: dispatcher.value });
      const single = Object.entries(answer.headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value] as const] : [],
      );
      const content = await answer.body.text();
      return ok({ status: answer.statusCode, headers: Object.fromEntries(single), body: content });
    } catch (error) {
      const code = (error as { readonly code?: unknown }).code;
      const text = typeof code === 'string' ? code : String(error);
      const failure = tlsFailure(error);
      const reason = failure === null ? text : `${failure.reason}; ${failure.remedy}`;
      return err({ reason, maybe: !NOT_SENT.has(text) && !isBeforeRequest(text) });
    }
  };
}
