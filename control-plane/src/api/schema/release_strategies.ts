import * as z from 'zod';
import type { InPlaceRequest, StrategyRequest, WeightedRequest } from '../../model/release_plane.js';
import { STRAGGLERS, type Upgrade } from '../../model/release_strategy.js';
import { DAY_MS, duration, whole } from './atoms.js';

/*
 * The strategies of releases, as clients ask for them: one member of the body each.
 */

const pause = z
  .union([duration(1_000, 7 * DAY_MS), z.strictObject({})])
  .transform((given) => (typeof given === 'number' ? { for_ms: given } : {}))
  .meta({ description: 'How long to soak, or {} to wait for a person.' });
const step = z.union([z.strictObject({ weight: whole(0, 100) }), z.strictObject({ pause })], {
  error: 'must be {"weight": 0 to 100}, {"pause": "2m"} or {"pause": {}}',
});

export const steps = z.array(step).min(1).max(100);

export const amount = z
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

export const inPlace = z
  .strictObject({
    batch: amount.optional().meta({ description: 'Absent: 1.' }),
    max_unavailable: amount.optional().meta({ description: 'Absent: the batch.' }),
    max_failed: whole(0, 10_000).optional().meta({
      description: 'Failed instances of one batch that are tolerated. Absent: 0.',
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

/** What a body says about how to go about it; null = nothing. */
export function strategyIn(body: {
  readonly steps?: WeightedRequest['steps'] | undefined;
  readonly in_place?: z.output<typeof inPlace> | undefined;
}): StrategyRequest | null {
  if (body.in_place !== undefined) return inPlaceRequest(body.in_place);
  return body.steps === undefined ? null : { kind: 'weighted', steps: body.steps };
}

/** How long calls may take where nobody says. */
const CALL_MS = { webhook: 30_000, command: 600_000 };

function inPlaceRequest(body: z.output<typeof inPlace>): InPlaceRequest {
  const { webhook, command } = body;
  const upgrade: Upgrade = webhook
    ? { webhook: { url: webhook.url, timeout_ms: webhook.timeout ?? CALL_MS.webhook } }
    : command
      ? { command: { name: command.name, timeout_ms: command.timeout ?? CALL_MS.command } }
      : { person: true };
  return {
    kind: 'in_place',
    batch: body.batch ?? null,
    max_unavailable: body.max_unavailable ?? null,
    max_failed: body.max_failed ?? null,
    upgrade,
    upgrade_timeout_ms: body.upgrade_timeout ?? null,
    drain_timeout_ms: body.drain_timeout ?? null,
    soak_ms: body.soak ?? null,
    stragglers: body.stragglers ?? null,
  };
}
