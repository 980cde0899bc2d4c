import * as z from 'zod';
import { RELEASE_PHASES, RELEASE_STATES, type ReleaseEvent } from '../../model/release.js';
import { ANSWER_VERDICTS } from '../../model/release_gates.js';
import type { ReleaseOutcome } from '../../model/release_plane.js';
import type * as model from '../../model/release_resources.js';
import { BATCH_STATES, STRAGGLERS } from '../../model/release_strategy.js';

/*
 * What clients are answered about releases.
 */

const time = z.iso.datetime().meta({ description: 'RFC 3339.' });
const count = z.int().min(0);
const shares = z.record(z.string(), z.number());
const number = z.number().nullable();

const direction = z.enum(['forward', 'back']);

const pauseLayer = z.object({
  cause: z.enum(['step', 'person', 'gate', 'drain']),
  by: z.string(),
  message: z.string(),
});
export const release = z.object({
  id: z.string(),
  etag: z.string(),
  service: z.string(),
  n: count,
  stable: z.string(),
  target: z.string(),
  strategy: z.enum(['weighted', 'in_place']),
  in_place: z
    .object({
      batch: z.string(),
      max_unavailable: z.string(),
      max_failed: count,
      upgrade: z.enum(['webhook', 'command', 'person']),
      through: z.string(),
      upgrade_timeout_ms: z.number(),
      drain_timeout_ms: z.number(),
      soak_ms: z.number(),
      stragglers: z.enum(STRAGGLERS),
      instances: z.array(
        z.object({
          id: z.string(),
          state: z.enum(BATCH_STATES),
          version: z.string(),
          in_flight: count.nullable(),
          reason: z.string(),
          waiting_for: z.array(z.string()),
        }),
      ),
      call: z.enum(['none', 'wanted', 'accepted', 'refused']),
      left_out: z.array(z.object({ id: z.string(), reason: z.string() })),
    })
    .nullable(),
  state: z.enum(RELEASE_STATES),
  phase: z.enum(RELEASE_PHASES).nullable(),
  step: count,
  steps: count,
  direction,
  turned: z.object({ step: count, begun: z.boolean() }).nullable(),
  back: z.object({ step: count, steps: count }).nullable(),
  attempt: count,
  message: z.string(),
  paused: z.object({ ...pauseLayer.shape, over: z.array(pauseLayer) }).nullable(),
  waiting_for: z.array(z.string()),
  since: time,
  shares: z.object({ wanted: shares, published: shares, applied_on: count, gateways: count }),
  gates: z.array(
    z.object({
      gate: z.string(),
      verdict: z.enum(ANSWER_VERDICTS),
      value: number,
      limit: number,
      message: z.string(),
      target: number,
      stable: number,
      samples: z.object({ target: count, stable: count }).nullable(),
    }),
  ),
  gates_read_at: time.nullable(),
  failures: count,
  failure_limit: count,
  by: z.string(),
  reason: z.string(),
  at: time,
  ended_at: time.nullable(),
  times: z.object({
    active_ms: z.number(),
    paused_ms: z.number(),
    converging_ms: z.number(),
    draining_ms: z.number(),
    upgrading_ms: z.number(),
  }),
  problem: z.string().nullable(),
}) satisfies z.ZodType<model.ReleaseResource>;

export const plan = z.object({
  service: z.string(),
  stable: z.string(),
  target: z.string(),
  rollback_to: z.string(),
  steps: z.array(
    z.object({
      step: count,
      what: z.string(),
      shares,
      instances: z.array(z.string()),
      direction,
      ready: z.record(z.string(), count),
      needs: count,
    }),
  ),
  upgrade: z.string().nullable(),
  gates: z.array(z.string()),
  start_deadline_ms: z.number(),
  blockers: z.array(z.string()),
  hash: z.string(),
}) satisfies z.ZodType<model.HashedPlan>;

export const outcome = z.object({
  dry_run: z.boolean(),
  changed: z.boolean(),
  notes: z.array(z.string()),
  release,
  plan,
}) satisfies z.ZodType<ReleaseOutcome>;

export const releases = z.object({ items: z.array(release) });
export const releaseEvent = z.object({
  n: count,
  at: time,
  event: z.string(),
  by: z.string(),
  message: z.string(),
}) satisfies z.ZodType<ReleaseEvent>;
export const releaseEvents = z.object({ items: z.array(releaseEvent) });
