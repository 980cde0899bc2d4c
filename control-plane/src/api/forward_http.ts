import { request } from 'undici';
import type { ForwardTo } from '../model/control_plane.js';
import { err, ok } from '../model/result.js';

/** Longer than every wait that a change may ask for. */
const ANSWER_MS = 60_000;

/** Failures that come before anything is sent. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT'],
]);

/** Forwards by HTTP. */
export const forwardByHttp: ForwardTo = async (address, { method, path, headers, body }, signal) => {
  try {
    // A connection of its own: one that was kept may have been closed by then, and nobody could say whether it was done.
    const limits = { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, reset: true };
    const sent = { method: method as 'POST' | 'PATCH', headers, body, signal, ...limits };
    const answer = await request(`${address}${path}`, sent);
    const single = Object.entries(answer.headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    );
    const content = await answer.body.text();
    return ok({ status: answer.statusCode, headers: Object.fromEntries(single), body: content });
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code;
    const reason = typeof code === 'string' ? code : String(error);
    return err({ reason, maybe: !NOT_SENT.has(reason) });
  }
};
