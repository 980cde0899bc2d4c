import { z } from 'zod';
import type { Heartbeat } from '../model/gateway.js';
import { err, ok, type Result } from '../model/result.js';
import { unfitCharacter } from '../model/texts.js';
import { describeIssue, nameSchema, parseJson, publishedName } from './documents.js';

/** Far above any honest heartbeat: it lists only instances with open requests. */
export const MOST_CHARACTERS = 4_000_000;

const count = z.int().min(0);

const INSTANCE_KEY = /^[^|]{1,128}\|[^|]{1,127}$/;
const line = z
  .string()
  .max(1_000)
  .refine((text) => unfitCharacter(text) === null);

const found = z.object({
  state: z.string().regex(/^[a-z0-9_]{1,32}$/),
  reason: line,
  since: z.number().min(0).max(8e12),
});

const heartbeat = z.object({
  v: z.literal(1),
  id: nameSchema('gateway'),
  boot: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  host: z
    .string()
    .max(255)
    .refine((text) => unfitCharacter(text) === null, { error: 'contains a character that cannot be shown' }),
  seq: count,
  workers: count,
  started: count,
  contracts: z.array(count).min(1).max(16),
  applied: z.object({ epoch: count, generation: count }).nullable(),
  rejected: z.array(
    z.object({ service: publishedName, generation: count, code: z.string().regex(/^[a-z0-9_]{1,64}$/) }),
  ),
  in_flight: z.record(z.string().regex(INSTANCE_KEY, { error: 'is not service|instance' }), count),
  uncounted: count,
  // Shown to people and nothing else: what cannot be read of it must not cost the acks and counts beside it.
  health: z.record(z.string().regex(INSTANCE_KEY), found).optional().catch(undefined),
  health_unlisted: count.optional().catch(undefined),
  panic: z.array(nameSchema('service')).optional().catch(undefined),
  breakers: z.record(nameSchema('service'), found).optional().catch(undefined),
  problems: z
    .array(
      z.object({
        kind: z.string().regex(/^[a-z0-9_]{1,32}$/),
        reason: line,
        since: z.number().min(0).max(8e12),
      }),
    )
    .max(100)
    .optional()
    .catch(undefined),
});

/**
 * Reads what is under the heartbeat key of gateway `id`. A failure is one sentence that names the field. A
 * heartbeat that calls itself by another name is refused: its counts would be taken for those of `id`.
 */
export function parseHeartbeat(id: string, text: string): Result<Heartbeat, string> {
  if (text.length > MOST_CHARACTERS) return err(`is longer than ${String(MOST_CHARACTERS)} characters`);
  const json = parseJson(text);
  if (!json.ok) return json;
  const parsed = heartbeat.safeParse(json.value);
  if (!parsed.success) return err(describeIssue(parsed.error));
  return parsed.data.id === id ? ok(parsed.data) : err(`id: is ${parsed.data.id}, but its key says ${id}`);
}
