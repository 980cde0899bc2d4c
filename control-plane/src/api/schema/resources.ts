import * as z from 'zod';
import { LIMIT_ALGORITHMS, LIMIT_SCOPES } from '../../model/limit.js';
import type * as model from '../../model/resources.js';
import { ROUTE_MEMBERS } from '../../model/route.js';
import { PROBLEM_KINDS, type ProblemKind } from '../../model/standing_problem.js';
import { BREAKER_STATES } from '../../model/breaker.js';
import { hold, time } from './holds.js';
import { sectionSchemas, shapeOf } from './spec.js';

/*
 * What the API answers, as schemas. `satisfies` compares them with the model's types; the API does not run them.
 */

export const count = z.int().min(0);
const counts = z.record(z.string(), count.nullable());
const numbers = z.record(z.string(), z.number());

export const position = z.object({ epoch: count, generation: count });
export const peerState = z.enum(['up', 'suspect', 'draining', 'unready', 'isolated', 'cut', 'gone']);
const intentState = z.enum(['draining', 'isolated', 'cut']);
const onTimeout = z.enum(['wait', 'cut', 'undrain']);
const operationResult = z
  .enum(['drained', 'cut', 'undrained', 'unproven', 'timed_out', 'cancelled', 'superseded'])
  .nullable();

export const convergence = z.object({
  service: z.string(),
  target: position,
  converged: z.boolean(),
  gateways: z.array(
    z.object({
      id: z.string(),
      applied: position.nullable(),
      state: z.enum(['acked', 'behind', 'rejected', 'unknown']),
      code: z.string().optional(),
    }),
  ),
}) satisfies z.ZodType<model.Convergence>;

const problemKinds = Object.keys(PROBLEM_KINDS) as [ProblemKind, ...ProblemKind[]];
export const standingProblem = z.object({
  code: z.enum(problemKinds),
  severity: z.enum(['error', 'note']),
  service: z.string().nullable(),
  instance: z.string().nullable(),
  path: z.string().nullable(),
  field: z.string().nullable(),
  message: z.string(),
  since: time,
}) satisfies z.ZodType<model.ProblemResource>;

export const service = z.object({
  service: z.string(),
  etag: z.string().nullable(),
  spec: z.object({
    routes: z.array(z.object({ host: z.string(), path: z.string(), ...shapeOf(ROUTE_MEMBERS, 'wire') })),
    ...sectionSchemas('effective'),
    min_available: count,
    version_fallback: z.boolean(),
  }) as z.ZodType as z.ZodType<model.EffectiveSpec>,
  versions: numbers,
  fallback: z.string().nullable(),
  fell_back: z.boolean(),
  instances: z.object({
    total: count,
    eligible: count,
    healthy: count.nullable().meta({
      description: 'Eligible, and well on at least one live gateway; null while none can be asked.',
    }),
    draining: count,
    isolated: count,
    other: count,
  }),
  effective_shares: numbers,
  published: position.nullable(),
  convergence: convergence.nullable(),
  problems: z.array(standingProblem),
  protection: z.string().nullable(),
  holds: z.array(hold),
  freezes: z.array(
    z.object({
      scope: z.enum(['service', 'all']),
      by: z.string(),
      reason: z.string(),
      since: time,
      until: time.nullable(),
    }),
  ),
  panic: z
    .array(z.string())
    .meta({ description: 'Gateways that ignore health, too many instances being out.' }),
  breaker: z.object({
    forced: z
      .object({
        state: z.enum(BREAKER_STATES),
        by: z.string(),
        reason: z.string(),
        since: time,
        until: time.nullable(),
      })
      .nullable()
      .meta({ description: 'What an operator says; null: each gateway decides by itself.' }),
    gateways: z
      .array(z.object({ gateway: z.string(), state: z.string(), reason: z.string(), since: time }))
      .meta({ description: 'The gateways on which it is open.' }),
  }),
}) satisfies z.ZodType<model.ServiceResource>;

const drainStatus = z.object({
  drained: z.boolean(),
  waiting_for: z.array(z.string()),
  in_flight: count.nullable(),
});

export const instance = z.object({
  service: z.string(),
  id: z.string(),
  host: z.string(),
  port: count,
  version: z.string(),
  zone: z.string(),
  labels: z.record(z.string(), z.string()),
  registered: z.boolean(),
  ready: z.boolean(),
  leaving: z.boolean(),
  registered_weight: count,
  registered_backup: z.boolean(),
  path: z.string().nullable(),
  persistent: z.boolean(),
  intent: z
    .object({
      layers: z.array(z.string()),
      state: intentState.nullable(),
      weight: count.nullable(),
      backup: z.boolean().nullable(),
      keep_sticky_until: time.nullable(),
      by: z.string(),
      reason: z.string(),
      at: time,
      expires: time.nullable(),
      operation: z.string().nullable(),
    })
    .nullable(),
  effective: z.object({
    state: peerState,
    weight: count,
    traffic: z.number(),
    down: z.boolean(),
    backup: z.boolean(),
    keep_sticky: z.boolean(),
  }),
  why: z.array(z.string()),
  in_flight: counts,
  drain: drainStatus.nullable(),
  health: z.array(
    z.object({ gateway: z.string(), state: z.string(), reason: z.string(), since: time.nullable() }),
  ),
}) satisfies z.ZodType<model.InstanceResource>;

const asked = z.object({
  asked: z.array(z.string()).meta({ description: 'The gateways whose reports the result rests on.' }),
  not_asked: z
    .array(z.object({ id: z.string(), at: time, how: z.enum(['left', 'forgotten']) }))
    .meta({ description: 'Gateways that went within the last day, and are not asked. The newest 20.' }),
});

export const operation = z.object({
  id: z.string(),
  kind: z.literal('drain'),
  state: z.enum(['running', 'done']),
  result: operationResult,
  by: z.string(),
  reason: z.string(),
  at: time,
  deadline: time.nullable(),
  on_timeout: onTimeout,
  ended_at: time.nullable(),
  gateways: asked,
  published: z.boolean(),
  instances: z.array(
    z.object({
      service: z.string(),
      id: z.string(),
      drained: z.boolean(),
      in_flight: counts,
      waiting_for: z.array(z.string()),
      result: operationResult,
      requests_left: count,
    }),
  ),
  waiting_for: z.array(z.string()),
}) satisfies z.ZodType<model.OperationResource>;

export const gateway = z.object({
  id: z.string(),
  state: z.enum(['live', 'unknown', 'never_heard']),
  in_roster: z.boolean(),
  since: time.nullable(),
  silent_ms: z.number().nullable(),
  host: z.string().nullable(),
  boot: z.string().nullable(),
  workers: count.nullable(),
  contracts: z
    .array(count)
    .nullable()
    .meta({ description: 'The versions of the set document that it understands, as it said last.' }),
  applied: position.nullable(),
  behind: z.int().nullable(),
  rejected: z.array(z.object({ service: z.string(), generation: count, code: z.string() })),
  in_flight: count.nullable(),
  problems: z
    .array(z.object({ kind: z.string(), reason: z.string(), since: time }))
    .meta({ description: 'What is wrong with it, as it says itself; empty while it is not heard.' }),
}) satisfies z.ZodType<model.GatewayResource>;

export const intent = z.object({
  service: z.string(),
  instance: z.string().nullable(),
  kind: z.enum([
    'draining',
    'isolated',
    'cut',
    'weight',
    'backup',
    'versions',
    'release',
    'freeze',
    'hold',
    'breaker',
    'accepted',
  ]),
  value: z.string(),
  by: z.string(),
  reason: z.string(),
  since: time,
  until: time.nullable(),
}) satisfies z.ZodType<model.IntentResource>;

export const event = z.object({
  at: time,
  event: z.string(),
  by: z.string(),
  instance: z.string().optional(),
  message: z.string(),
  reason: z.string().optional(),
}) satisfies z.ZodType<model.ServiceEvent>;

const contract = z.object({
  version: count.meta({ description: 'The version that sets are written in.' }),
  most: count.meta({ description: 'The highest that this controller may choose.' }),
  limited_by: z
    .array(z.string())
    .meta({ description: 'Gateways that do not understand the next higher one.' }),
  left_behind: z
    .array(z.string())
    .meta({ description: 'Gateways that do not understand this one: they serve what they had.' }),
}) satisfies z.ZodType<model.ContractResource>;

/** Lists are wrapped, so that they can grow members. */
function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item) });
}
const limit = z.object({
  name: z.string(),
  algorithm: z.enum(LIMIT_ALGORITHMS),
  scope: z.enum(LIMIT_SCOPES),
  rate: z.string().nullable(),
  mode: z.enum(['enforce', 'log']),
  recent: z
    .object({ admitted: count, delayed: count, refused: count, seconds: count, gateways: count })
    .nullable()
    .meta({
      description:
        'Requests of the last `seconds`, over those `gateways` that say so; with mode `log` what it would have refused. Null: none says so yet.',
    }),
}) satisfies z.ZodType<model.LimitResource>;

export const limits = listOf(limit);
export const services = listOf(service);
export const instances = listOf(instance);
export const operations = listOf(operation);
export const gateways = listOf(gateway).extend({
  never_heard: count.meta({
    description: 'Names in Redis’ list that were never heard. The first of them are among the items.',
  }),
  contract,
});
export const controller = z.object({
  id: z.string(),
  role: z.enum(['leader', 'standby']),
  address: z.string().nullable(),
  version: z.string(),
  started_at: z.string(),
}) satisfies z.ZodType<model.ControllerResource>;
export const controllers = listOf(controller);
export const intents = listOf(intent);
export const standingProblems = listOf(standingProblem);
export const events = listOf(event);
