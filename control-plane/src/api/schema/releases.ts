import * as z from 'zod';
import { RELEASE_PHASES, RELEASE_STATES, type ReleaseEvent } from '../../model/release.js';
import {
  ANSWER_VERDICTS,
  DEFAULT_GATES,
  MAX_OUTER_GATES,
  ON_INCONCLUSIVE,
  PERCENTILES,
} from '../../model/release_gates.js';
import { BATCH_STATES, STRAGGLERS } from '../../model/release_strategy.js';
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

const usual = {
  errors: DEFAULT_GATES.errors ?? { max_percent: 0, ratio: 1 },
  latency: DEFAULT_GATES.latency ?? { percentile: 95, slack_ms: 0, ratio: 1 },
};
const gateName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/, 'must be letters, digits, ".", "_" and "-", at most 64');
const limit = z.number().min(-1e15).max(1e15).optional();
const webhook = z
  .strictObject({
    name: gateName,
    url: z
      .string()
      .max(2_000)
      .meta({ description: 'Must lie below a prefix in EBBGATE_HOOKS of the controllers.' }),
    timeout: duration(100, 60_000).optional().meta({ description: 'How long it may take; default 5s.' }),
  })
  .transform(({ name, url, timeout }) => ({ name, url, timeout_ms: timeout ?? 5_000 }));
const prometheus = z
  .strictObject({
    name: gateName,
    query: z
      .string()
      .min(1)
      .max(4_000)
      .meta({
        description: 'PromQL that gives one sample; may contain {{service}}, {{stable}}, {{target}}.',
      }),
    max: limit,
    min: limit,
  })
  .refine(({ max, min }) => max !== undefined || min !== undefined, { error: 'needs max, min or both' })
  .transform(({ name, query, max, min }) => ({ name, query, max: max ?? null, min: min ?? null }));
const unique = (list: readonly { readonly name: string }[]): boolean =>
  new Set(list.map(({ name }) => name)).size === list.length;
const twice = { error: 'must not hold a name twice' };
const ratio = z.number().min(1).max(1_000);

const amount = z
  .union(
    [
      whole(1, 10_000).transform((count) => ({ count })),
      z
        .string()
        .regex(/^(100|[1-9]\d?)%$/)
        .transform((text) => ({ percent: Number(text.slice(0, -1)) })),
    ],
    { error: 'must be a number of instances from 1 to 10000, or percent of all like "20%", from 1% to 100%' },
  )
  .meta({ description: 'A number of instances, or percent of all like `20%` (rounded down, at least 1).' });

const inPlace = z
  .strictObject({
    batch: amount.optional().meta({ description: 'Absent: 1.' }),
    max_unavailable: amount.optional().meta({ description: 'Absent: the batch.' }),
    max_failed: whole(0, 10_000).optional().meta({
      description: 'Failed instances of one batch that are put up with. Absent: 0.',
    }),
    webhook: z
      .strictObject({
        url: z.url({ protocol: /^https?$/ }).max(2_000),
        timeout: duration(100, 600_000).optional(),
      })
      .optional()
      .meta({ description: 'What is asked to upgrade a batch; one of the allowed hooks. Absent: 30s.' }),
    command: z
      .strictObject({
        name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'must be the name of a file'),
        timeout: duration(100, DAY_MS).optional(),
      })
      .optional()
      .meta({ description: 'A file of the hook commands. Absent: 10m.' }),
    upgrade_timeout: duration(1_000, 7 * DAY_MS)
      .optional()
      .meta({ description: 'Absent: 10m.' }),
    drain_timeout: duration(1_000, 7 * DAY_MS)
      .optional()
      .meta({ description: "Absent: the controller's." }),
    soak: duration(1_000, 7 * DAY_MS)
      .optional()
      .meta({ description: 'After every batch. Absent: none.' }),
    stragglers: z.enum(STRAGGLERS).optional().meta({
      description:
        'Instances that a person has out of use: `leave` (default) names them at the end, `wait` waits for them, `only` brings nothing but what is left to the version that is stable already.',
    }),
  })
  .check((context) => {
    const { webhook, command } = context.value;
    if (webhook !== undefined && command !== undefined)
      context.issues.push({
        code: 'custom',
        input: context.value,
        message: 'must name a webhook or a command, not both',
      });
  })
  .meta({
    description:
      'Instead of steps: upgrade the instances batch by batch. Without webhook and command a person does it.',
  });

const force = z.boolean().meta({ description: 'Guards do not refuse; needs a reason.' });

const gates = z.strictObject({
  min_samples: whole(1, 1_000_000).optional(),
  failure_limit: whole(0, 100).optional(),
  interval: duration(1_000, DAY_MS).optional(),
  delay: duration(1_000, DAY_MS)
    .optional()
    .meta({ description: 'The first part of every soak, which is not judged. Absent: none.' }),
  on_inconclusive: z.enum(ON_INCONCLUSIVE).optional().meta({
    description:
      'What the end of a soak does without a verdict; `extend`: it goes on, to four times its length at most, and then pauses.',
  }),
  errors: z
    .strictObject({
      max_percent: z.number().min(0).max(100).default(usual.errors.max_percent),
      ratio: ratio.default(usual.errors.ratio),
    })
    .nullable()
    .optional()
    .meta({ description: 'null: not judged.' }),
  latency: z
    .strictObject({
      percentile: z
        .literal(PERCENTILES, { error: `must be one of ${PERCENTILES.join(', ')}` })
        .default(usual.latency.percentile),
      slack_ms: z.number().min(0).max(DAY_MS).default(usual.latency.slack_ms),
      ratio: ratio.default(usual.latency.ratio),
    })
    .nullable()
    .optional()
    .meta({ description: 'null: not judged.' }),
  fast: z.boolean().optional(),
  webhooks: z.array(webhook).max(MAX_OUTER_GATES).refine(unique, twice).optional(),
  prometheus: z.array(prometheus).max(MAX_OUTER_GATES).refine(unique, twice).optional(),
});

export const releaseBody = z
  .strictObject({
    target: name('version'),
    stable: name('version').optional().meta({ description: 'Absent: found out, or asked for.' }),
    steps: z.array(step).min(1).max(100).optional(),
    in_place: inPlace.optional(),
    like: z.string().max(128).optional().meta({
      description:
        'The id of a release of this service: in place as that one was. If it was weighted, `steps` hold.',
    }),
    gates: gates.optional(),
    deadline: duration(1_000, DAY_MS).optional().meta({
      description: 'How long the target may have a share and no ready instance before the release fails.',
    }),
    start_deadline: duration(1_000, 30 * DAY_MS)
      .optional()
      .meta({
        description:
          'How long it may wait for its first step before the release fails; what guards hold up is not counted. Absent: 30m.',
      }),
    min_ready: amount.optional().meta({
      description:
        'Weighted: ready instances that the target needs for a step: a number, or percent of what its share comes to of the instances that served at the start. Absent: `75%`.',
    }),
    supersede: z.boolean().optional().meta({ description: 'Take the place of a release that runs.' }),
    plan_hash: z
      .string()
      .regex(/^[0-9a-f]{6}(?:-[0-9a-f]{6}){4}$/, 'must be a hash as a plan shows it')
      .optional()
      .meta({ description: 'The `hash` of the plan that you looked at: another plan is refused.' }),
    reason: reason.optional(),
    force: force.optional(),
  })
  .check((context) => {
    const { steps, in_place, like } = context.value;
    if (in_place !== undefined && (steps !== undefined || like !== undefined))
      context.issues.push({
        code: 'custom',
        input: context.value,
        path: ['in_place'],
        message: 'goes with neither steps nor like: a release is one of them',
      });
  });

const why = { reason: reason.optional() };
const expected_step = whole(0, 100_000).meta({
  description: 'The step that you saw. A release that is past it is not moved again.',
});
export const verbBody = z.strictObject(why);
export const stepBody = z.strictObject({
  ...why,
  expected_step,
  force: force.optional(),
});
export const promoteBody = z.strictObject({
  ...stepBody.shape,
  full: z.boolean().optional().meta({ description: 'To the last step.' }),
});

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
  told: z.array(z.string()),
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
