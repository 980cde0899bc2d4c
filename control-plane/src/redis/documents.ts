import { isIP } from 'node:net';
import { z } from 'zod';
import { BREAKER_STATES } from '../model/breaker.js';
import { isKeysName } from '../model/key_documents.js';
import { checkName, isPublishedName, type NameKind, ROUTES } from '../model/names.js';
import { err, ok, type Result } from '../model/result.js';
import { ROUTE_MEMBERS } from '../model/route.js';
import { SECTIONS, type SectionName } from '../model/service_spec.js';
import type { Document, Route, ServiceSet } from '../model/set.js';
import { MAX_PEERS, MAX_ROUTE_HOST, MAX_ROUTE_PATH, PEER_PORT, PEER_WEIGHT } from '../model/set_limits.js';
import { readMembers, readValue, type Fault } from '../model/shape.js';
import { filledSet } from './fill_set.js';

/** A name by the rules of `model/names.ts`. */
export function nameSchema(kind: NameKind): z.ZodString {
  return z.string().refine((value) => checkName(kind, value).ok, { error: `is not a valid ${kind} name` });
}

/** The first complaint of zod as one sentence that names the field. */
export function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'is not valid';
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
}

/** A section by the table of `model/service_spec.ts`; members that the contract lacks are dropped. */
function section<S extends SectionName>(name: S) {
  return z.unknown().transform((given, context): NonNullable<ServiceSet[S]> => {
    const faults: Fault[] = [];
    const read = readValue(SECTIONS[name].rule, given, 'wire', faults);
    for (const { path, message } of faults)
      context.issues.push({ code: 'custom', path: [...path], message, input: given });
    return read as NonNullable<ServiceSet[S]>;
  });
}

const peer = z.object({
  id: nameSchema('instance'),
  host: z.string().refine((host) => isIP(host) !== 0, { error: 'is not an IP address' }),
  port: z.int().min(PEER_PORT.min).max(PEER_PORT.max),
  version: z.literal('').or(nameSchema('version')),
  weight: z.int().min(PEER_WEIGHT.min).max(PEER_WEIGHT.max),
  down: z.boolean(),
  state: z.enum(['up', 'suspect', 'draining', 'unready', 'isolated', 'cut', 'gone']),
  zone: z.literal('').or(nameSchema('zone')).optional(),
  backup: z.boolean().optional(),
  keep_sticky: z.boolean().optional(),
});

const serviceSet = z.object({
  v: z.literal(1),
  service: nameSchema('service'),
  balancer: section('balancer'),
  timeouts: section('timeouts'),
  retry: section('retry'),
  health: section('health'),
  breaker: section('breaker').optional(),
  auth: section('auth').optional(),
  concurrency: section('concurrency').optional(),
  limits: section('limits').optional(),
  upstream: section('upstream').optional(),
  breaker_forced: z.enum(BREAKER_STATES).optional(),
  peers: z
    .array(peer)
    .max(MAX_PEERS)
    .refine((peers) => new Set(peers.map(({ id }) => id)).size === peers.length, {
      error: 'two peers have the same id',
    }),
});

/** Of whatever is published. */
export const publishedName = z.string().refine(isPublishedName, { error: 'is not a name of a set' });

const tombstone = z.object({
  v: z.literal(1),
  service: publishedName.refine((name) => name !== ROUTES, { error: 'is that of the routes' }),
  removed: z.literal(true),
});

const keys = z
  .object({
    v: z.literal(1),
    service: z.string().refine(isKeysName),
    consumers: z.array(
      z.object({
        name: nameSchema('consumer'),
        services: z.array(z.string()).optional(),
        networks: z.array(z.string()).optional(),
      }),
    ),
    keys: z.array(
      z.object({
        hash: z.string().regex(/^[0-9a-f]{64}$/),
        id: z.string().regex(/^[0-9a-f]{12}$/),
        consumer: z.int().min(0),
        expires: z.int().min(0).optional(),
      }),
    ),
  })
  .refine((one) => one.keys.every(({ consumer }) => consumer < one.consumers.length), {
    error: 'a key has no consumer',
  });

const routeTable = z.object({
  // In memory it has the form of version 1, which is the same.
  v: z.literal([1, 2]).transform((): 1 => 1),
  service: z.literal(ROUTES),
  routes: z.array(
    z
      .looseObject({
        host: z.string().min(1).max(MAX_ROUTE_HOST),
        path: z.string().startsWith('/').max(MAX_ROUTE_PATH),
        service: nameSchema('service'),
      })
      .transform(({ host, path, service, ...more }, context): Route => {
        const faults: Fault[] = [];
        const read = readMembers(ROUTE_MEMBERS, more, 'wire', faults);
        for (const { path: at, message } of faults)
          context.issues.push({ code: 'custom', path: [...at], message, input: more });
        return { host, path, service, ...read };
      }),
  ),
});

/**
 * Reads a payload of any version of the contract, in the form of version 1. A failure names the field; members that the contract lacks
 * are dropped.
 */
export function parseDocument(payload: string): Result<Document, string> {
  const json = parseJson(payload);
  if (!json.ok) return json;
  const document = filledSet(json.value);
  const parsed = schemaFor(document).safeParse(document);
  return parsed.success ? ok(parsed.data) : err(describeIssue(parsed.error));
}

/** JSON or one sentence. */
export function parseJson(text: string): Result<unknown, string> {
  try {
    return ok(JSON.parse(text));
  } catch {
    return err('is not JSON');
  }
}

/** One schema is chosen before parsing, so that a complaint is about the kind of document that was meant. */
function schemaFor(json: unknown): z.ZodType<Document> {
  if (typeof json !== 'object' || json === null) return serviceSet;
  if ('service' in json && json.service === ROUTES) return routeTable;
  if ('removed' in json) return tombstone;
  return 'keys' in json ? keys : serviceSet;
}
