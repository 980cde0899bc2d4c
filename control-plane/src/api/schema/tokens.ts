import * as z from 'zod';
import { parseGlob } from '../../model/glob.js';
import { NO_TOKEN, RESERVED_ACTORS, STATIC_TOKEN } from '../../model/names.js';
import { ROLE_NAMES, type Role } from '../../model/role.js';
import type { TokenResource } from '../../model/token.js';
import { unfitCharacter } from '../../model/texts.js';
import { duration, EXPIRES_MAX_MS, flag, name, reason } from './atoms.js';

const time = z.string().meta({ format: 'date-time' });
const role = z.enum(ROLE_NAMES as [Role, ...Role[]]);
const TAKEN: readonly string[] = [...RESERVED_ACTORS, STATIC_TOKEN, NO_TOKEN];
const tokenName = name('token').refine((text) => !TAKEN.includes(text), {
  error: `must not be one of ${TAKEN.join(', ')}`,
});

/** A pattern over services or gateways. */
const glob = z
  .string()
  .check((context) => {
    const parsed = parseGlob(context.value);
    if (!parsed.ok) context.issues.push({ code: 'custom', input: context.value, message: parsed.error });
  })
  .meta({
    description: 'The services it is for, of role `gateway` the gateways: a pattern, `*` for all.',
    examples: ['shop', 'shop-*'],
  });

const certificateName = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => unfitCharacter(text) === null, { error: 'must be one line without control characters' })
  .meta({
    description:
      'The name of the client certificate that proves it: its first DNS name or URI (`subjectAltName`), without one its common name. It has no secret then.',
  });

export const createBody = z.strictObject({
  name: tokenName,
  role,
  scope: glob.optional(),
  certificate: certificateName.nullable().optional(),
  expires: duration(1_000, EXPIRES_MAX_MS).nullable().optional().meta({
    description: 'After so long it is refused. Absent: never.',
  }),
  reason: reason.optional(),
});
export const tokenParams = z.strictObject({ token: name('token') });
export const revokeQuery = z.strictObject({ dry_run: flag.optional(), reason: reason.optional() });

export const token = z.object({
  name: z.string(),
  id: z.string(),
  role,
  scope: z.string(),
  certificate: z.string().nullable(),
  by: z.string(),
  reason: z.string(),
  since: time,
  until: time.nullable(),
  expired: z.boolean(),
}) satisfies z.ZodType<TokenResource>;

export const tokens = z.object({ items: z.array(token) });

export const created = z.object({
  name: z.string(),
  role,
  scope: z.string(),
  until: time.nullable(),
  dry_run: z.boolean(),
  secret: z
    .string()
    .nullable()
    .meta({ description: 'The token. It is shown this once; null with `dry_run`, and for a certificate.' }),
});

export const whoami = z.object({
  name: z.string(),
  by: z.string().meta({ description: 'What changes would be recorded as.' }),
  role,
  scope: z.string(),
  proof: z.enum(['none', 'static', 'token', 'certificate']),
  until: time.nullable(),
});
