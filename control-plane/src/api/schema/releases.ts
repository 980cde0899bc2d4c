import * as z from 'zod';
import { RELEASE_PHASES, RELEASE_STATES, type ReleaseEvent } from '../../model/release.js';
import type { ReleaseOutcome } from '../../model/release_plane.js';
import type * as model from '../../model/release_resources.js';
import { DAY_MS, duration, name, reason, whole } from './atoms.js';

/*
 * What clients may send about releases, and what they are answered.
 */

const pause = z
  .union([duration(1_000, 7 * DAY_MS), z.strictObject({})])
  .transform((given) => (typeof given === 'number' ? { for_ms: given } : {}))
  .meta({ description: 'How long to soak, or {} to wait for a person.' });
const step = z.union([z.strictObject({ weight: whole(0, 100) }), z.strictObject({ pause })], {
  error: 'must be {"weight": 0 to 100}, {"pause": "2m"} or {"pause": {}}',
});

const gates = z.strictObject({
  min_samples: whole(1, 1_000_000).optional(),
  failure_limit: whole(0, 100).optional(),
  interval: duration(1_000, DAY_MS).optional(),
  on_inconclusive: z.enum(['pause', 'pass', 'fail']).optional(),
  errors: z
    .strictObject({ max_percent: z.number().min(0).max(100), ratio: z.number().min(1).max(1_000) })
    .nullable()
    .optional(),
  latency: z
    .strictObject({ slack_ms: z.number().min(0).max(DAY_MS), ratio: z.number().min(1).max(1_000) })
    .nullable()
    .optional(),
  fast: z.boolean().optional(),
});

export const releaseBody = z.strictObject({
  target: name('version'),
  stable: name('version').optional().meta({ description: 'Absent: found out, or asked for.' }),
  steps: z.array(step).min(1).max(100).optional(),
  gates: gates.optional(),
  deadline: duration(1_000, DAY_MS).optional().meta({
    description: 'How long the target may have a share and no ready instance before the release fails.',
  }),
  supersede: z.boolean().optional().meta({ description: 'Take the place of a release that runs.' }),
  plan_hash: z
    .string()
    .regex(/^[0-9a-f]{6}(?:-[0-9a-f]{6}){4}$/, 'must be a hash as a plan shows it')
    .optional()
    .meta({ description: 'The `hash` of the plan that you looked at: another plan is refused.' }),
  reason: reason.optional(),
});

const why = { reason: reason.optional() };
const expected_step = whole(0, 1_000).meta({
  description: 'The step that you saw. A release that is past it is not moved again.',
});
export const verbBody = z.strictObject(why);
export const stepBody = z.strictObject({
  ...why,
  expected_step,
  force: z.boolean().optional().meta({ description: 'Guards do not refuse; needs a reason.' }),
});
export const promoteBody = z.strictObject({
  ...stepBody.shape,
  full: z.boolean().optional().meta({ description: 'To the last step.' }),
});

const time = z.iso.datetime().meta({ description: 'RFC 3339.' });
const count = z.int().min(0);
const shares = z.record(z.string(), z.number());
const number = z.number().nullable();

export const release = z.object({
  id: z.string(),
  etag: z.string(),
  service: z.string(),
  n: count,
  stable: z.string(),
  target: z.string(),
  strategy: z.enum(['weighted']),
  state: z.enum(RELEASE_STATES),
  phase: z.enum(RELEASE_PHASES).nullable(),
  step: count,
  steps: count,
  attempt: count,
  message: z.string(),
  paused: z
    .object({ cause: z.enum(['step', 'person', 'gate']), by: z.string(), message: z.string() })
    .nullable(),
  waiting_for: z.array(z.string()),
  since: time,
  shares: z.object({ wanted: shares, published: shares, applied_on: count, gateways: count }),
  gates: z.array(
    z.object({
      gate: z.enum(['errors', 'latency']),
      verdict: z.enum(['pass', 'fail', 'inconclusive']),
      target: number,
      stable: number,
      limit: number,
      samples: z.object({ target: count, stable: count }),
    }),
  ),
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
  }),
  problem: z.string().nullable(),
}) satisfies z.ZodType<model.ReleaseResource>;

export const plan = z.object({
  service: z.string(),
  stable: z.string(),
  target: z.string(),
  rollback_to: z.string(),
  steps: z.array(z.object({ step: count, what: z.string(), shares })),
  blockers: z.array(z.string()),
  hash: z.string(),
}) satisfies z.ZodType<model.HashedPlan>;

export const outcome = z.object({
  dry_run: z.boolean(),
  changed: z.boolean(),
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
