import * as z from 'zod';
import {
  DRAIN_TIMEOUT_MAX_MS,
  duration,
  EXPIRES_MAX_MS,
  flag,
  name,
  reason,
  WAIT_MAX_MS,
  WEIGHT_MAX,
  whole,
} from './atoms.js';
import { COPY_PLACES } from '../../model/copy_places.js';
import { BREAKER_STATES } from '../../model/breaker.js';
import { MOST_ROUTES, ROUTE_MEMBERS } from '../../model/route.js';
import { MAX_ROUTE_HOST, MAX_ROUTE_PATH } from '../../model/set_limits.js';
import { itemShape, sectionSchemas } from './spec.js';

/*
 * What clients may send. Every object is strict: a member that is not known here is refused by name.
 */

export const noQuery = z.strictObject({});
export const readyQuery = z.strictObject({
  role: z.literal('leader').optional().meta({
    description: '`leader`: a standby answers 503 too. For a balancer that wants the leader alone.',
  }),
});
export const waitQuery = z.strictObject({ wait: duration(0, WAIT_MAX_MS).optional() });
export const intentsQuery = z.strictObject({
  expiring: flag.optional().meta({ description: 'True: only what ends by itself, the next one first.' }),
});
export const mutationQuery = z.strictObject({ dry_run: flag.optional() });

const expires = duration(1_000, EXPIRES_MAX_MS).meta({
  description: 'How long the intent lasts; after that it is ignored and cleared. Absent: until taken back.',
});

/** For bodies that are a map of names: the circumstances have no place in them, so they are in the query. */
export const mapQuery = z.strictObject({
  dry_run: flag.optional(),
  reason: reason.optional(),
  force: flag.optional(),
  expires: expires.optional(),
});

const circumstances = {
  reason: reason.optional(),
  force: z.boolean().optional().meta({ description: 'Guards only warn; needs a reason.' }),
};
const lasting = { ...circumstances, expires: expires.nullable().optional() };
const waiting = {
  ...lasting,
  timeout: duration(1, DRAIN_TIMEOUT_MAX_MS)
    .nullable()
    .optional()
    .meta({ description: 'When the operation stops waiting. Absent: never.' }),
  on_timeout: z.enum(['wait', 'cut', 'undrain']).optional().meta({
    description: 'What the time-out does: leave it draining (default), cut it off, or give it back.',
  }),
};

export const instanceBody = z.strictObject(circumstances);
export const isolateBody = z.strictObject(lasting);
const keepSticky = duration(1_000, DRAIN_TIMEOUT_MAX_MS).meta({
  description:
    'So long clients that are bound by cookie keep their instance. Nothing is proven before; shorter than `timeout`.',
});
const draining = { ...waiting, keep_sticky: keepSticky.nullable().optional() };
export const drainBody = z.strictObject(draining);
export const reasonBody = z.strictObject({ reason: reason.optional() });
export const freezeBody = z.strictObject({
  reason: reason.meta({ description: 'Why; shown to whoever it stops.' }),
  expires: expires.nullable().optional(),
});
export const holdBody = z.strictObject({
  reason: reason.meta({ description: 'How it is known that what vanished, or will vanish, lives.' }),
  expires: duration(1_000, EXPIRES_MAX_MS).meta({
    description: 'How long nothing that vanished is removed. Then the usual rules count again.',
  }),
});
export const breakerBody = z.strictObject({
  state: z.enum([...BREAKER_STATES, 'auto']).meta({
    description:
      '`open`: the service is left alone; `closed`: it is not, whatever fails; `auto`: each gateway decides again.',
  }),
  reason: reason.optional().meta({ description: 'Why; needed by `open` and `closed`.' }),
  expires: expires.nullable().optional(),
});
export const acceptLossBody = z.strictObject({
  reason: reason.meta({ description: 'How it is known that what vanished is gone.' }),
});
export const forgetBody = z.strictObject({
  reason: reason.meta({ description: 'Why it may be left out of every proof from now on.' }),
});
export const forgetManyBody = z.strictObject({
  gateways: z
    .array(name('gateway'))
    .max(1_000)
    .optional()
    .meta({ description: 'Each must be silent. One that is heard, or that nobody knows, refuses all.' }),
  never_heard: z
    .boolean()
    .optional()
    .meta({ description: 'Also every name in Redis’ list that was never heard. Default false.' }),
  reason: reason.meta({ description: 'Why they may be left out of every proof from now on.' }),
});

export const acceptBody = z.strictObject({
  reason: reason.meta({ description: 'How it is known that what ZooKeeper contains now is right.' }),
  keep_intents: z.boolean().optional().meta({
    description:
      'Write back the intents (routes, drains, isolations, weights, shares), as this controller remembers them or as the published sets show them. Default false: it is lost.',
  }),
});

export const exportQuery = z.strictObject({
  tokens: flag.optional().meta({ description: '`true`: with the salted hashes of the tokens.' }),
});

const restoring = {
  reason: reason.meta({ description: 'Why what is in it is right.' }),
  diff: z.string().max(100).optional().meta({
    description:
      'The `diff` that the dry run answered. If it would change anything else by now, it is refused.',
  }),
};
export const restoreBody = z.strictObject({
  from: z
    .enum(COPY_PLACES)
    .meta({ description: 'Where the copy is: in Redis, or on the disk of the leader.' }),
  which: z.enum(['newest', 'previous']).optional().meta({
    description:
      '`previous`: the copy before a loss was settled or a copy brought back; at most a day older otherwise.',
  }),
  ...restoring,
});
export const importBody = z.strictObject({
  document: z.record(z.string(), z.unknown()).meta({ description: 'What `GET /v1/export` answered.' }),
  prune: z
    .boolean()
    .optional()
    .meta({
      description:
        'Remove what is not in the document: records and histories of services, the freeze of everything, and tokens if the ' +
        'document has them. Gateways of the roster, releases and the audit stay. Not while data is lost.',
    }),
  ...restoring,
});

/** Which instances, across services. */
export const selector = z
  .strictObject({
    service: name('service').optional(),
    ids: z.array(name('instance')).min(1).max(1_000).optional(),
    version: name('version').optional(),
    host: z.string().min(1).max(64).optional().meta({ description: 'An IP literal.' }),
    zone: name('zone').optional(),
    all: z
      .literal(true)
      .optional()
      .meta({ description: 'Every instance of `service`, which must be given, and nothing else.' }),
  })
  .refine((s) => Object.keys(s).some((member) => member !== 'service'), {
    error: 'needs at least one of ids, version, host, zone, all',
  })
  .refine((s) => s.all === undefined || (s.service !== undefined && Object.keys(s).length === 2), {
    error: 'may only be beside service',
    path: ['all'],
  })
  .refine((s) => s.ids === undefined || s.service !== undefined, {
    error: 'is needed with ids, because an id is unique only within its service',
    path: ['service'],
  })
  .meta({ description: 'Every member that is given must match. At least one besides `service`.' });

export const drainsBody = z.strictObject({ selector, ...draining });
export const isolatesBody = z.strictObject({ selector, ...lasting });
export const undrainsBody = z.strictObject({ selector, ...circumstances });

const weight = whole(0, WEIGHT_MAX)
  .nullable()
  .meta({ description: 'Replaces the registered weight; null gives it back.' });

const backup = z.boolean().nullable().meta({
  description:
    'True: used only while no other instance may be. Replaces the registered role; null gives it back.',
});

export const instancePatch = z
  .strictObject({ weight: weight.optional(), backup: backup.optional(), ...lasting })
  .refine((patch) => patch.weight !== undefined || patch.backup !== undefined, {
    error: 'needs weight or backup',
  });
export const weightsPatch = z
  .record(name('instance'), weight)
  .refine((map) => Object.keys(map).length > 0, { error: 'names no instance' })
  .meta({
    description: 'Instance → weight, or null for its registered weight.',
    examples: [{ '10.0.1.7:8080': 50 }],
  });

export const versionsPatch = z
  .record(name('version'), whole(0, 100))
  .refine((map) => Object.keys(map).length === 0 || sum(map) === 100, {
    error: (issue) =>
      `must sum to 100 (they sum to ${String(sum(issue.input as Record<string, number>))}); {} clears them`,
  })
  .meta({
    description:
      'Version → share in percent. It replaces all shares: they sum to 100, or {} goes back to weights alone.',
    examples: [{ v1: 80, v2: 20 }],
  });

function sum(map: Readonly<Record<string, number>>): number {
  return Object.values(map).reduce((a, b) => a + b, 0);
}

const routeHost = z
  .string()
  .max(MAX_ROUTE_HOST)
  .regex(
    /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/,
    'must be an exact host in lower case without port, *.suffix, or *',
  )
  .refine((host) => !host.includes('..'), { error: 'must not contain an empty label (..)' })
  .meta({ description: 'Exact (lower case, no port), `*.suffix`, or `*` for any.' });
const routePath = z
  .string()
  .max(MAX_ROUTE_PATH)
  .regex(
    /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*)?$/,
    'must start with /, contain no query, no % and no empty segment, and not end with / (except / itself)',
  )
  .refine((path) => !/\/\.{1,2}(?:\/|$)/.test(path), { error: 'must not contain . or .. segments' })
  .meta({ description: 'A prefix at segment borders: /api matches /api and /api/x, not /apix.' });
const routes = z
  .array(z.strictObject({ host: routeHost.default('*'), path: routePath, ...itemShape(ROUTE_MEMBERS) }))
  .max(MOST_ROUTES)
  .refine((list) => new Set(list.map((one) => JSON.stringify(one))).size === list.length, {
    error: 'lists a route twice',
  });

/** RFC 7396: null takes a member back to its default, at every depth. */
export const specPatch = z.strictObject({
  routes: routes.nullable().optional(),
  ...sectionSchemas('patch'),
  min_available: whole(0, 10_000).nullable().optional(),
  version_fallback: z.boolean().nullable().optional(),
  ...circumstances,
});
