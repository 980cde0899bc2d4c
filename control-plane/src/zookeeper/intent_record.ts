import { z } from 'zod';
import { BREAKER_STATES } from '../model/breaker.js';
import type { IntentRecord } from '../model/intent.js';
import { checkName, type NameKind } from '../model/names.js';
import { ROUTE_MEMBERS } from '../model/route.js';
import type { Result } from '../model/result.js';
import { SECTION_NAMES, SECTIONS, type SectionName } from '../model/service_spec.js';
import { readValue, type Fault, type Members, type Rule } from '../model/shape.js';
import { parseRecord } from './parse_record.js';

/*
 * Everything but events is strict: a member that is not known here was written by another release, and writing the record back
 * without it would lose somebody's intent.
 */
const name = (kind: NameKind): z.ZodType<string> =>
  z.string().refine((value) => checkName(kind, value).ok, { error: `not a name of kind ${kind}` });
const moment = z.iso.datetime({ offset: true });
const text = z.string().max(4_096);
const onTimeout = z.enum(['wait', 'cut', 'undrain']);

/** A section by the table of `model/service_spec.ts`. */
function section(name: SectionName) {
  return value(SECTIONS[name].rule);
}

/** Members that may all be absent, by a table. */
function members(table: Members) {
  return Object.fromEntries(Object.entries(table).map(([name, { rule }]) => [name, value(rule).optional()]));
}

function value(rule: Rule) {
  return z.unknown().check((context) => {
    const faults: Fault[] = [];
    readValue(rule, context.value, 'spec', faults);
    for (const { path, message } of faults)
      context.issues.push({ code: 'custom', path: [...path], message, input: context.value });
  });
}

const spec = z.strictObject({
  routes: z.array(z.strictObject({ host: text, path: text, ...members(ROUTE_MEMBERS) })).optional(),
  ...Object.fromEntries(SECTION_NAMES.map((name) => [name, section(name).optional()])),
  min_available: z.int().min(0).optional(),
  version_fallback: z.boolean().optional(),
});

/** Who decided something, and until when: the members of it. */
export const decided = { by: text, reason: text, at: moment, expires: moment.optional() };

/** What people decided for one instance, wherever it is kept. */
export const instanceSchema = z.strictObject({
  state: z.enum(['draining', 'isolated', 'cut']).optional(),
  weight: z.int().min(0).max(10_000).optional(),
  backup: z.boolean().optional(),
  keep_sticky_until: moment.optional(),
  ...decided,
  op: text.optional(),
  covered: z
    .strictObject({
      state: z.enum(['draining', 'cut']),
      keep_sticky_until: moment.optional(),
      ...decided,
      op: text.optional(),
    })
    .optional(),
  weight_by: z.strictObject(decided).optional(),
  backup_by: z.strictObject(decided).optional(),
});

/** A freeze, wherever it is kept. */
export const freezeSchema = z.strictObject(decided);

const operation = z.strictObject({
  id: text,
  kind: z.literal('drain'),
  instances: z.array(name('instance')),
  by: text,
  reason: text,
  at: moment,
  deadline: moment.optional(),
  on_timeout: onTimeout,
  idempotency_key: text.optional(),
  request: text.optional(),
  result: z
    .enum(['drained', 'cut', 'undrained', 'unproven', 'timed_out', 'cancelled', 'superseded'])
    .optional(),
  ended_at: moment.optional(),
  left: z.record(text, z.number()).optional(),
  waited_for: z.array(text).optional(),
  gateways: z
    .strictObject({
      asked: z.array(text),
      not_asked: z.array(z.strictObject({ id: text, at: moment, how: z.enum(['left', 'forgotten']) })),
    })
    .optional(),
});

/** A line of history, wherever it is kept. It steers nothing, so what a newer release says beside it is kept as it is. */
export const eventSchema = z.looseObject({
  at: moment,
  event: text,
  by: text,
  instance: text.optional(),
  message: text,
  reason: text.optional(),
  idempotency_key: text.optional(),
  request: text.optional(),
});

const record = z.strictObject({
  v: z.literal(1),
  rev: z.int().min(0),
  spec,
  instances: z.record(name('instance'), instanceSchema),
  versions: z.record(name('version'), z.number().min(0).max(100)),
  versions_by: z.strictObject(decided).optional(),
  fallback: name('version').optional(),
  spec_by: z.strictObject(decided).optional(),
  freeze: freezeSchema.optional(),
  hold: z.strictObject(decided).optional(),
  breaker: z.strictObject({ state: z.enum(BREAKER_STATES), ...decided }).optional(),
  accepted: z.strictObject({ ...decided, instances: z.record(name('instance'), text) }).optional(),
  ops: z.array(operation),
  events: z.array(eventSchema),
});

/** Reads a record's bytes; the error names the first member that is wrong. */
export function parseIntentRecord(data: Buffer): Result<IntentRecord, string> {
  return parseRecord(record, data);
}

export function encodeIntentRecord(intent: IntentRecord): Buffer {
  return Buffer.from(JSON.stringify(intent), 'utf8');
}
