import * as z from 'zod';
import {
  KEY_LENGTH,
  KEY_PATTERN,
  MOST_LISTED,
  MOST_TERMS,
  type ApiKeyResource,
  type ConsumerPage,
  type ConsumerResource,
} from '../../model/api_consumer.js';
import { parseGlob } from '../../model/glob.js';
import { isNetwork, NETWORK } from '../../model/network.js';
import { duration, EXPIRES_MAX_MS, flag, name, reason, whole } from './atoms.js';

const time = z.string().meta({ format: 'date-time' });

const pattern = z.string().check((context) => {
  const parsed = parseGlob(context.value);
  if (!parsed.ok) context.issues.push({ code: 'custom', input: context.value, message: parsed.error });
});
const services = z
  .array(pattern)
  .min(1)
  .max(MOST_TERMS)
  .meta({
    description: 'The services it may send requests to, as patterns; `["*"]` = all.',
    examples: [['shop', 'shop-*']],
  });
const networks = z
  .array(z.string().refine(isNetwork, { error: `must be ${NETWORK.hint}` }))
  .max(MOST_TERMS)
  .meta({
    description: 'The networks its requests may come from; `[]` = any.',
    examples: [['10.0.0.0/8']],
  });

export const createBody = z.strictObject({
  name: name('consumer'),
  services: services.optional(),
  networks: networks.optional(),
  reason: reason.optional(),
});
export const changeBody = z.strictObject({
  services: services.optional(),
  networks: networks.optional(),
  reason: reason.optional(),
});
export const keyBody = z.strictObject({
  key: z
    .string()
    .min(
      KEY_LENGTH.min,
      `must be at least ${String(KEY_LENGTH.min)} characters long: shorter ones can be guessed`,
    )
    .max(KEY_LENGTH.max)
    .regex(KEY_PATTERN, 'must consist of A-Z a-z 0-9 . _ ~ + / -, with = at its end only')
    .optional()
    .meta({
      description: 'A key that is brought along, from another gateway. Absent: one is made, as it should be.',
    }),
  expires: duration(1_000, EXPIRES_MAX_MS).nullable().optional().meta({
    description: 'After so long it is refused. Absent: never.',
  }),
  reason: reason.optional(),
});
export const consumerParams = z.strictObject({ consumer: name('consumer') });
export const keyParams = z.strictObject({
  consumer: name('consumer'),
  key: z
    .string()
    .regex(/^[0-9a-f]{12}$/, 'must be the id of a key, as the consumer shows it')
    .meta({ description: 'The id of a key.' }),
});
export const deleteQuery = z.strictObject({ dry_run: flag.optional(), reason: reason.optional() });
export const listQuery = z.strictObject({
  after: name('consumer').optional().meta({ description: '`next` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, `must be a number from 1 to ${String(MOST_LISTED)}`)
    .transform(Number)
    .pipe(whole(1, MOST_LISTED))
    .optional()
    .meta({ description: `How many at the most; default ${String(MOST_LISTED)}.` }),
});

const key = z.object({
  id: z.string(),
  by: z.string(),
  reason: z.string(),
  since: time,
  until: time.nullable(),
  expired: z.boolean(),
}) satisfies z.ZodType<ApiKeyResource>;

export const consumer = z.object({
  name: z.string(),
  services: z.array(z.string()),
  networks: z.array(z.string()),
  keys: z.array(key),
  by: z.string(),
  reason: z.string(),
  since: time,
}) satisfies z.ZodType<ConsumerResource>;

export const consumers = z.object({
  items: z.array(consumer),
  next: z
    .string()
    .nullable()
    .meta({ description: 'What `after` is of the next page; null = this is the last.' }),
}) satisfies z.ZodType<ConsumerPage>;

export const addedKey = z.object({
  consumer: z.string(),
  id: z.string(),
  until: time.nullable(),
  dry_run: z.boolean(),
  published: z.boolean(),
  key: z.string().nullable().meta({
    description: 'The key. It is shown this once; null with `dry_run`, and for one that was brought along.',
  }),
});
