import * as z from 'zod';
import { HOLD_KINDS, type HoldResource } from '../../model/hold.js';

/** A moment in an answer. */
export const time = z.iso.datetime().meta({ description: 'RFC 3339.' });

/** What keeps instances in use whose registrations vanished. */
export const hold = z.object({
  kind: z.enum(HOLD_KINDS),
  instances: z.array(z.string()),
  since: time,
  until: time.nullable().meta({ description: 'Null: until somebody speaks, a registration or a person.' }),
  by: z.string().nullable(),
  reason: z.string().nullable(),
  message: z.string(),
}) satisfies z.ZodType<HoldResource>;
