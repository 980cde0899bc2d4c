import type { Request } from 'express';
import type { Endpoint } from './endpoint.js';
import { actorOf, checkName, NO_TOKEN, RESERVED_ACTORS } from '../model/names.js';
import { spellCharacter } from '../model/texts.js';
import type { Identity } from './auth/identity.js';
import { plainAddress } from './plain_address.js';
import { invalid, Refusal } from './refusal.js';

/*
 * What the headers of a request say, each read by one rule. Node gives header values as Latin-1 text, joined when repeated.
 * A value that does not pass is refused by name: who sent it would look for it in events and logs, and not find it.
 */

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const IF_MATCH = /^(?:\*|"([\x21\x23-\x7e]{1,128})")$/;
/** Of the letters of an address: it comes from a header, and goes into records. */
const ADDRESS = /^[\da-f:.]{2,45}$/i;

/** The client's own request id: null = it gave none; a refusal if it is unfit for a log line. */
export function requestId(request: Request): string | Refusal | null {
  const given = request.get('x-request-id');
  if (given === undefined) return null;
  if (REQUEST_ID.test(given)) return given;
  const hint = 'header.x-request-id must be 1 to 128 of A-Z a-z 0-9 . _ -';
  return invalid(
    'header.x-request-id',
    `${hint}${containing(given, /[^A-Za-z0-9._-]/)}. Leave it out to get one`,
  );
}

function containing(text: string, stranger: RegExp): string {
  const found = stranger.exec(text)?.[0];
  return found === undefined ? '' : `; it contains ${spellCharacter(found)}`;
}

/** What records call the caller: its token, and on whose behalf it says that it acts; where no token is needed that alone. */
export function actor(request: Request, { name, proof }: Identity): string {
  const behalf = behalfOf(request);
  return proof === 'none' ? (behalf ?? NO_TOKEN) : actorOf(name, behalf);
}

function behalfOf(request: Request): string | null {
  const given = request.get('x-ebbgate-actor');
  if (given === undefined) return null;
  const field = 'header.x-ebbgate-actor';
  const checked = checkName('actor', given, field);
  const remedy = 'Send a name like ann@example.org or job/42, or leave the header out';
  if (!checked.ok) throw invalid(field, `${checked.error.message}. ${remedy}`);
  if (RESERVED_ACTORS.includes(given))
    throw invalid(
      field,
      `${field} must not be ${RESERVED_ACTORS.join(' or ')}, which are no people. ${remedy}`,
    );
  return given;
}

/** Says that another controller has sent the request on, and for the client at which address. */
export const FORWARDED = 'x-ebbgate-forwarded';

/**
 * The address of the client. Who sends a request on is named too, because everybody who may ask may claim to be a controller.
 */
export function clientOf(request: Request): string {
  const peer = plainAddress(request.socket.remoteAddress ?? 'unknown');
  const client = request.get(FORWARDED) ?? '';
  return ADDRESS.test(client) ? `${client} via ${peer}` : peer;
}

/** The tag in `If-Match` without its quotes. */
export function ifMatch(request: Request, rule: Endpoint['ifMatch']): string | null {
  if (rule === null) return null;
  const given = request.get('if-match');
  if (given === undefined) {
    if (rule === 'optional') return null;
    throw new Refusal({
      code: 'precondition_required',
      field: 'header.if-match',
      detail: 'send If-Match with the ETag that a GET of the service gave, or * to change it whatever it is',
    });
  }
  const match = IF_MATCH.exec(given);
  if (!match) throw invalid('header.if-match', 'header.if-match must be one quoted ETag like "17-3", or *');
  return match[1] ?? '*';
}

/** The key under which a repeated POST or PATCH is the same request. */
export function idempotencyKey(request: Request, method: Endpoint['method']): string | null {
  const given = request.get('idempotency-key');
  if (method === 'get' || given === undefined) return null;
  if (IDEMPOTENCY_KEY.test(given)) return given;
  const hint = 'header.idempotency-key must be 1 to 255 visible ASCII characters';
  throw invalid('header.idempotency-key', `${hint}${containing(given, /[^\x21-\x7e]/)}`);
}

/**
 * Whether the client wants server-sent events rather than JSON, and after which event it goes on. After what is no number
 * of an event everything comes again: nothing is missed by it.
 */
export function streamStart(request: Request): { readonly after: number } | null {
  if (request.method !== 'GET') return null;
  if (request.accepts(['application/json', 'text/event-stream']) !== 'text/event-stream') return null;
  const last = request.get('last-event-id') ?? '';
  return { after: /^\d{1,9}$/.test(last) ? Number(last) : 0 };
}
