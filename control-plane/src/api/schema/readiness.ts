import * as z from 'zod';
import type { ProtectionResource, ReadinessResource } from '../../model/readiness.js';
import { hold, time } from './holds.js';
import { count } from './resources.js';

/*
 * Whether the controller can work, and what it suspends until it can.
 */

const dependency = z.object({
  state: z.enum(['ok', 'degraded', 'down']),
  since: time,
  detail: z.string(),
  stale_since: time
    .nullable()
    .meta({ description: 'Since when what is shown of it is of the past; null while it answers.' }),
});
export const readiness = z.object({
  ready: z.boolean(),
  data_loss: z.string().nullable(),
  controller: z.object({
    state: z.enum(['starting', 'leading', 'standby']),
    epoch: count.nullable(),
    since: time,
  }),
  zookeeper: dependency,
  redis: dependency,
  clock: z.object({
    state: z.enum(['in_sync', 'out_of_sync', 'unknown']),
    since: time,
    detail: z.string(),
    ahead_ms: z.object({ zookeeper: z.number().optional(), redis: z.number().optional() }),
  }),
}) satisfies z.ZodType<ReadinessResource>;
export const protection = z.object({
  data_loss: z.string().nullable(),
  expiry_suspended: z.string().nullable(),
  services: z.array(
    z.object({ service: z.string(), protection: z.string().nullable(), holds: z.array(hold) }),
  ),
}) satisfies z.ZodType<ProtectionResource>;
export const liveness = z.object({ live: z.literal(true) });
