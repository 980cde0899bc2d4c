import * as z from 'zod';
import { DEFAULT_GATES, MAX_OUTER_GATES, ON_INCONCLUSIVE, PERCENTILES } from '../../model/release_gates.js';
import { DAY_MS, duration, name, reason, whole } from './atoms.js';
import { amount, inPlace, steps } from './release_strategies.js';

/*
 * What clients send about releases.
 */

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
    query: z.string().min(1).max(4_000).meta({
      description: 'PromQL that gives one sample; may contain {{service}}, {{stable}}, {{target}}.',
    }),
    max: limit,
    min: limit,
  })
  .refine(({ max, min }) => max !== undefined || min !== undefined, { error: 'needs max, min or both' })
  .transform(({ name, query, max, min }) => ({ name, query, max: max ?? null, min: min ?? null }));
const unique = (list: readonly { readonly name: string }[]): boolean =>
  new Set(list.map(({ name }) => name)).size === list.length;
const twice = { error: 'must not contain a name twice' };
const ratio = z.number().min(1).max(1_000);

const force = z.boolean().meta({ description: 'Guards do not refuse; needs a reason.' });

const gates = z.strictObject({
  min_samples: whole(1, 1_000_000).optional(),
  failure_limit: whole(0, 100).optional(),
  interval: duration(1_000, DAY_MS).optional(),
  delay: duration(1_000, DAY_MS)
    .optional()
    .meta({ description: 'The first part of every soak, which the gates leave out. Absent: none.' }),
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
    .meta({ description: 'null: no such gate.' }),
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
    .meta({ description: 'null: no such gate.' }),
  fast: z.boolean().optional(),
  webhooks: z.array(webhook).max(MAX_OUTER_GATES).refine(unique, twice).optional(),
  prometheus: z.array(prometheus).max(MAX_OUTER_GATES).refine(unique, twice).optional(),
});

export const releaseBody = z
  .strictObject({
    target: name('version'),
    stable: name('version').optional().meta({ description: 'Absent: found out, or asked for.' }),
    steps: steps.optional(),
    in_place: inPlace.optional(),
    like: z.string().max(128).optional().meta({
      description:
        'The id of a release of this service: in place as that one was. If it was weighted, `steps` apply.',
    }),
    gates: gates.optional(),
    deadline: duration(1_000, DAY_MS).optional().meta({
      description: 'How long the target may have a share and no ready instance before the release fails.',
    }),
    start_deadline: duration(1_000, 30 * DAY_MS)
      .optional()
      .meta({
        description:
          'How long it may wait for its first step before the release fails; time in which guards block it is not counted. Absent: 30m.',
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
