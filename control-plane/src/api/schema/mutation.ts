import * as z from 'zod';
import type { MutationResource } from '../../model/mutation.js';
import { PROBLEMS, type ProblemCode } from '../../model/problem.js';
import { count, operation } from './resources.js';

/*
 * What a mutation is answered, and what any request may be refused with.
 */

export const guard = z.object({
  guard: z.enum(['min_available', 'last_ready_instance']),
  service: z.string(),
  would_leave: count,
  needed: count,
  message: z.string(),
});

/** A line of before → after. */
export const change = z.object({
  service: z.string(),
  instance: z.string().nullable(),
  field: z.string(),
  from: z.string(),
  to: z.string(),
});

export const mutation = z.object({
  dry_run: z.boolean(),
  changes: z.array(change),
  guards: z.array(guard),
  blockers: z.array(z.string()),
  operation: operation.nullable(),
  published: z.boolean(),
  notes: z.array(z.string()).optional().meta({
    description: 'Of a dry run: what else is worth knowing, like what the limits refused of late.',
  }),
  undoes: z
    .object({ n: z.int(), at: z.string(), by: z.string(), verb: z.string(), object: z.string() })
    .optional()
    .meta({ description: 'The record of the audit that it takes back; absent: it takes none back.' }),
  etags: z.record(z.string(), z.string()),
  diff: z.string().optional().meta({
    description:
      'Of a copy that is brought back: the digest of the changes, to be sent when they are applied.',
  }),
}) satisfies z.ZodType<MutationResource>;

const codes = Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]];
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  code: z.enum(codes),
  request_id: z.string(),
  field: z.string().optional(),
  blockers: z.array(z.string()),
  guard: guard.optional(),
  guards: z.array(guard).optional(),
});
