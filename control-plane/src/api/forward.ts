import type { Request } from 'express';
import type { ControlPlane, ForwardedAnswer, ForwardTo } from '../model/control_plane.js';
import { own } from '../model/dictionary.js';
import type { Exchange, Reply } from './endpoint.js';
import { FORWARDED } from './exchange.js';
import { Refusal } from './refusal.js';

/*
 * A standby sends what asks for a change on to the leader, with the caller's credentials, request id and key: whoever asks need
 * not know who leads. A client certificate is no such credential: it is proven on the connection, and no header says so for somebody else. Once: a standby that is asked by another controller says that nobody leads.
 */

/** What of a request goes on to the leader, besides its id. */
const SENT = ['authorization', 'content-type', 'idempotency-key', 'if-match', 'x-ebbgate-actor'];
/** What of the leader's answer goes back, besides its body. */
const RETURNED = ['etag', 'retry-after', 'location'];
const RETRY_AFTER = { 'Retry-After': '1' };

/** True if another controller has to answer it. */
export function isForLeader(plane: ControlPlane, method: string): boolean {
  return method !== 'get' && plane.role() === 'standby';
}

/** Has the leader answer. Throws `no_leader` where there is none, or none that answers. */
export async function forward(
  { plane, forwardTo }: { readonly plane: ControlPlane; readonly forwardTo: ForwardTo },
  request: Request,
  exchange: Exchange,
): Promise<Reply> {
  if (request.get(FORWARDED) !== undefined)
    throw noLeader(
      'Another controller took this one for the leader, and it is a standby. Nothing was changed.',
    );
  const address = await leaderOf(plane);
  if (exchange.identity.proof === 'certificate')
    throw new Refusal(
      {
        code: 'not_leader',
        detail: `This controller is a standby, and a client certificate proves who asks to the controller that it is shown to, and to no other. Nothing was changed. Send the change to the leader at ${address}, or give the addresses of all controllers; a bearer token is sent on.`,
      },
      RETRY_AFTER,
    );
  const body = request.body === undefined ? '' : JSON.stringify(request.body);
  const headers = {
    // Of a request without a body, which is taken for an empty one.
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
    ...Object.fromEntries(SENT.flatMap((name) => given(name, request.get(name)))),
    'x-request-id': exchange.requestId,
    [FORWARDED]: exchange.origin.from,
  };
  const sent = { method: request.method, path: request.originalUrl, headers, body };
  const answer = await forwardTo(address, sent, exchange.signal);
  if (answer.ok) {
    // Whoever asks here next finds what was changed.
    if (answer.value.status < 300) await plane.caughtUp();
    return replyOf(answer.value, address);
  }
  const { reason, maybe } = answer.error;
  const outcome = maybe
    ? 'It may have been done: read before trying again, or repeat it with the same Idempotency-Key.'
    : 'Nothing was changed. Try again.';
  throw noLeader(`The leader at ${address} does not answer (${reason}). ${outcome}`);
}

function replyOf({ status, headers, body }: ForwardedAnswer, address: string): Reply {
  return {
    status,
    headers: Object.fromEntries(RETURNED.flatMap((name) => given(name, own(headers, name)))),
    text: { type: own(headers, 'content-type') ?? 'application/json; charset=utf-8', content: body },
    logged: { forwarded_to: address, status },
  };
}

async function leaderOf(plane: ControlPlane): Promise<string> {
  const controllers = await plane.controllers();
  if (!controllers.ok)
    throw noLeader(
      `ZooKeeper does not say who leads (${controllers.error}). Nothing was changed. Try again.`,
    );
  const leader = controllers.value.find(({ role }) => role === 'leader');
  if (leader === undefined) throw noLeader('No controller leads now. Nothing was changed. Try again.');
  if (leader.address !== null) return leader.address;
  throw noLeader(`${leader.id} leads, and does not say where it can be reached. Nothing was changed.`);
}

function given(name: string, value: string | undefined): readonly (readonly [string, string])[] {
  return value === undefined ? [] : [[name, value]];
}

function noLeader(detail: string): Refusal {
  return new Refusal({ code: 'no_leader', detail }, RETRY_AFTER);
}
