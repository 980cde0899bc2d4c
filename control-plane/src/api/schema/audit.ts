import * as z from 'zod';
import type { AuditResource } from '../../model/audit.js';
import { actorName, duration, name, reason, whole } from './atoms.js';
import * as mutation from './mutation.js';

/** So far back is asked for by a duration. */
const SINCE_MAX_MS = 400 * 24 * 3_600_000;
const LIMIT_MAX = 500;

/** Of the number of a record. */
const number = z
  .string()
  .regex(/^[1-9]\d{0,9}$/, 'must be the number of a record')
  .transform(Number)
  .meta({ description: 'The number of a record.' });

/** What is asked for of the records. */
export const auditQuery = z.strictObject({
  service: name('service').optional(),
  actor: actorName.optional().meta({ description: 'Who asked, as the records say `by`.' }),
  verb: z
    .string()
    .regex(/^[a-z_]{1,40}$/, 'must be a verb like drain, set_weights or start_release')
    .optional()
    .meta({
      description: 'What was asked for: `drain`, `set_weights`, `start_release`, …',
      examples: ['drain'],
    }),
  since: z
    .union([z.iso.datetime({ offset: true }), duration(1, SINCE_MAX_MS)], {
      error: 'must be a moment like 2026-05-01T12:00:00Z, or how long ago, like 2h',
    })
    .optional()
    .meta({
      description: 'None that is older: a moment (RFC 3339), or how long ago (`2h`).',
      examples: ['2h'],
    }),
  before: number.optional().meta({ description: '`next` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, `must be a number from 1 to ${String(LIMIT_MAX)}`)
    .transform(Number)
    .pipe(whole(1, LIMIT_MAX))
    .optional()
    .meta({ description: 'How many at the most; default 50.' }),
});

export const recordParams = z.strictObject({ record: number });
export const undoParams = z.strictObject({
  record: z.union([z.literal('last'), number], { error: 'must be the number of a record, or last' }).meta({
    description: 'The number of a record; `last`: the newest of who asks that nobody has undone yet.',
  }),
});
export const undoBody = z.strictObject({
  reason: reason.optional(),
  force: z.boolean().optional().meta({ description: 'Guards only warn; needs a reason.' }),
});

const time = z.string().meta({ format: 'date-time' });

export const auditRecord = z
  .object({
    n: z.int().meta({ description: 'Numbers begin with 1, and none is left out.' }),
    at: time,
    by: z.string(),
    token: z
      .string()
      .nullable()
      .meta({ description: 'The name of the token; null where none is asked for.' }),
    from: z.string().meta({ description: 'The address of the client, and the controller that sent it on.' }),
    request_id: z.string(),
    verb: z.string(),
    object: z.string().meta({ description: 'What it was asked for, as it was named.' }),
    services: z.array(z.string()),
    changes: z.array(mutation.change).meta({ description: 'Before → after; at most 30.' }),
    more_changes: z.int(),
    reason: z.string(),
    force: z.boolean(),
    overruled: z.array(z.string()).meta({ description: 'What guards said against it.' }),
    until: time.nullable().meta({ description: 'When what was decided ends by itself.' }),
    operation: z.string().nullable(),
    release: z.string().nullable(),
    idempotency_key: z.string().nullable(),
    undoes: z.int().nullable().meta({ description: 'The number of the record that it took back.' }),
    not_undoable: z
      .string()
      .nullable()
      .meta({ description: 'Why it cannot be undone; null = it may be tried.' }),
  })
  .meta({ description: 'One change, as it was written down with it.' }) satisfies z.ZodType<AuditResource>;

export const auditPage = z.object({
  items: z.array(auditRecord),
  next: z.int().nullable().meta({
    description:
      'The `before` of the next page, which may exist although this one is not full; null = no more.',
  }),
});
