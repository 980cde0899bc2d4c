import { z } from 'zod';
import { LATENCY_BUCKETS } from '../model/latency.js';
import { checkName, type NameKind } from '../model/names.js';
import { RELEASE_PHASES, RELEASE_STATES, type ReleaseRecord } from '../model/release.js';
import { ANSWER_VERDICTS, DEFAULT_GATES, ON_INCONCLUSIVE, PERCENTILES } from '../model/release_gates.js';
import {
  BATCH_STATES,
  type InPlaceProgress,
  type InPlaceStrategy,
  STRAGGLERS,
  type WeightedStrategy,
} from '../model/release_strategy.js';
import { err, ok, type Result } from '../model/result.js';
import { isObject } from '../model/shape.js';
import { checkRecord, recordJson } from './parse_record.js';

/*
 * Everything is strict: a member or a schema that is not known here was written by another release of Ebbgate, and a state
 * machine that guesses at its state is worse than one that does not move.
 */
const name = (kind: NameKind): z.ZodType<string> =>
  z.string().refine((value) => checkName(kind, value).ok, { error: `not a name of kind ${kind}` });
const moment = z.iso.datetime({ offset: true });
const text = z.string().max(4_096);
const whole = z.int().min(0);
const milliseconds = z.number().min(0);
const percent = z.int().min(0).max(100);
const shares = z
  .record(name('version'), percent)
  .refine(
    (map) =>
      Object.keys(map).length === 0 || Object.values(map).reduce((sum, share) => sum + share, 0) === 100,
    { error: 'does not sum to 100' },
  );

const weighted = z.strictObject({
  kind: z.literal('weighted'),
  steps: z
    .array(
      z.union([
        z.strictObject({ weight: percent }),
        z.strictObject({ pause: z.strictObject({ for_ms: milliseconds.optional() }) }),
      ]),
    )
    .min(1),
});

const amount = z.union([
  z.strictObject({ count: z.int().min(1) }),
  z.strictObject({ percent: z.int().min(1).max(100) }),
]);
const inPlace = z.strictObject({
  kind: z.literal('in_place'),
  batch: amount,
  max_unavailable: amount,
  max_failed: whole,
  upgrade: z.union([
    z.strictObject({ webhook: z.strictObject({ url: text, timeout_ms: milliseconds }) }),
    z.strictObject({ command: z.strictObject({ name: text, timeout_ms: milliseconds }) }),
    z.strictObject({ person: z.literal(true) }),
  ]),
  upgrade_timeout_ms: milliseconds,
  drain_timeout_ms: milliseconds,
  soak_ms: milliseconds,
  stragglers: z.enum(STRAGGLERS),
});
const picked = { id: text, host: text, port: whole, from: text, asked: z.boolean(), reason: text };
const inPlaceProgress = z.strictObject({
  batch: z.array(z.strictObject({ ...picked, state: z.enum(BATCH_STATES), named: z.boolean() })),
  called: z.strictObject({ outcome: z.enum(['accepted', 'refused']), reason: text }).nullable(),
  left_out: z.array(z.strictObject({ ...picked, to: text })),
  full: z.boolean(),
  planned: whole.nullable(),
  batches: z.array(
    z.strictObject({
      step: whole,
      direction: z.enum(['forward', 'back']),
      count: whole,
      instances: z.array(text),
    }),
  ),
});

const gates = z.strictObject({
  min_samples: whole,
  failure_limit: whole,
  interval_ms: milliseconds,
  on_inconclusive: z.enum(ON_INCONCLUSIVE),
  delay_ms: milliseconds,
  errors: z.strictObject({ max_percent: z.number(), ratio: z.number() }).nullable(),
  latency: z
    .strictObject({ percentile: z.literal(PERCENTILES), slack_ms: z.number(), ratio: z.number() })
    .nullable(),
  fast: z.boolean(),
  webhooks: z.array(z.strictObject({ name: text, url: text, timeout_ms: milliseconds })),
  prometheus: z.array(
    z.strictObject({ name: text, query: text, max: z.number().nullable(), min: z.number().nullable() }),
  ),
});

const inquiry = z.strictObject({
  n: z.int().min(1),
  at: moment,
  asked_ms: milliseconds,
  readings: z.array(
    z.strictObject({
      gate: text,
      verdict: z.enum(['pass', 'fail', 'inconclusive']),
      target: z.number().nullable(),
      stable: z.number().nullable(),
      limit: z.number().nullable(),
      samples: z.strictObject({ target: whole, stable: whole }),
      note: text,
    }),
  ),
  open: z.boolean(),
  answers: z.record(
    text,
    z.strictObject({
      verdict: z.enum(ANSWER_VERDICTS),
      value: z.number().nullable(),
      message: text,
      at: moment,
    }),
  ),
});

const read = z.strictObject({
  at: moment,
  step: whole,
  gates: z.array(
    z.strictObject({
      gate: text,
      verdict: z.enum(ANSWER_VERDICTS),
      value: z.number().nullable(),
      limit: z.number().nullable(),
      message: text,
      target: z.number().nullable(),
      stable: z.number().nullable(),
      samples: z.strictObject({ target: whole, stable: whole }).nullable(),
    }),
  ),
});

const counts = z.strictObject({
  requests: whole,
  errors: whole,
  ms: milliseconds,
  buckets: z.array(whole).length(LATENCY_BUCKETS),
});
const sides = z.strictObject({ stable: counts, target: counts });
const phase = z.enum(RELEASE_PHASES).nullable();

const pauseLayer = z.strictObject({
  cause: z.enum(['step', 'person', 'gate', 'drain']),
  by: text,
  message: text,
});

const record = z.strictObject({
  v: z.literal(1),
  rev: whole,
  id: text,
  service: name('service'),
  n: z.int().min(1),
  stable: name('version'),
  target: name('version'),
  strategy: z.discriminatedUnion('kind', [weighted, inPlace]),
  in_place: inPlaceProgress.nullable(),
  gates,
  deadline_ms: milliseconds,
  start_deadline_ms: milliseconds,
  min_ready: amount,
  capacity: whole.nullable(),
  by: text,
  reason: text,
  at: moment,
  state: z.enum(RELEASE_STATES),
  since: moment,
  phase,
  step: whole,
  attempt: z.int().min(1),
  paused: z
    .strictObject({
      ...pauseLayer.shape,
      over: z.array(pauseLayer).optional(),
      state: z.enum(['preparing', 'progressing']),
      phase,
    })
    .nullable(),
  ending: z.enum(['rolled_back', 'cancelled', 'failed']).nullable(),
  turned: z.strictObject({ step: whole, begun: z.boolean() }).nullable(),
  message: text,
  base: shares,
  shares,
  observed_ms: milliseconds,
  stalled_ms: milliseconds,
  window: z.strictObject({ watcher: text, last: sides, sum: sides }).nullable(),
  failures: whole,
  checked_ms: milliseconds,
  extended_ms: milliseconds,
  read: read.nullable(),
  inquiry: inquiry.nullable(),
  times: z.strictObject({
    active_ms: milliseconds,
    paused_ms: milliseconds,
    converging_ms: milliseconds,
    draining_ms: milliseconds,
    upgrading_ms: milliseconds,
  }),
  looked_at: milliseconds,
  looked_by: text,
  ended_at: moment.nullable(),
  verbs: z.array(z.strictObject({ key: text, request: text })),
  events: z.array(z.strictObject({ n: z.int().min(1), at: moment, event: text, by: text, message: text })),
});

/**
 * The record with the members that controllers of before did not write. What one of them began goes on as it would have: with no need of
 * more than one ready instance, and without an estimate of what it has done.
 */
function completed(value: unknown): unknown {
  if (!isObject(value)) return value;
  const { strategy, in_place, gates, inquiry, ending, step } = value;
  const inPlace = isObject(strategy) && strategy['kind'] === 'in_place';
  const turned = typeof ending === 'string' && !inPlace ? { step, begun: true } : null;
  return {
    ...{ start_deadline_ms: OLD_START_DEADLINE_MS, min_ready: { count: 1 }, capacity: null, turned },
    ...{ extended_ms: 0, read: null },
    ...value,
    ...(inPlace ? { strategy: { stragglers: 'leave', ...strategy } } : {}),
    ...(isObject(in_place) ? { in_place: { planned: null, batches: [], ...in_place } } : {}),
    ...(isObject(gates) ? { gates: { delay_ms: DEFAULT_GATES.delay_ms, ...gates } } : {}),
    ...(isObject(inquiry) ? { inquiry: { ...inquiry, readings: noted(inquiry['readings']) } } : {}),
  };
}

/** What waits for its first step since before there was a bound gets the usual one. */
const OLD_START_DEADLINE_MS = 1_800_000;

function noted(readings: unknown): unknown {
  if (!Array.isArray(readings)) return readings;
  return readings.map((one: unknown) => (isObject(one) ? { note: '', ...one } : one));
}

/** A record as its bytes say it: how far it is is stored beside the strategy, as it was before there were several. */
type Stored = Omit<ReleaseRecord, 'strategy'> & {
  readonly strategy: Omit<WeightedStrategy, 'progress'> | Omit<InPlaceStrategy, 'progress'>;
  readonly in_place: InPlaceProgress | null;
  readonly capacity: number | null;
};

function joined({ strategy, in_place, capacity, ...rest }: Stored): Result<ReleaseRecord, string> {
  if ((strategy.kind === 'in_place') !== (in_place !== null))
    return err('in_place: in place without its progress, or a progress without being in place');
  if (strategy.kind === 'in_place' && in_place)
    return ok({ ...rest, strategy: { ...strategy, progress: in_place } });
  return ok({ ...rest, strategy: { ...strategy, progress: { capacity } } as WeightedStrategy });
}

function parted({ strategy, ...rest }: ReleaseRecord): object {
  const { progress, ...settings } = strategy;
  return {
    ...rest,
    strategy: settings,
    in_place: strategy.kind === 'in_place' ? progress : null,
    capacity: strategy.kind === 'weighted' ? strategy.progress.capacity : null,
  };
}

/** Reads a record's bytes; the error names the first member that is wrong. */
export function parseReleaseRecord(data: Buffer): Result<ReleaseRecord, string> {
  const json = recordJson(data);
  if (!json.ok) return json;
  const stored = checkRecord<Stored>(record, completed(json.value));
  return stored.ok ? joined(stored.value) : stored;
}

export function encodeReleaseRecord(release: ReleaseRecord): Buffer {
  return Buffer.from(JSON.stringify(parted(release)), 'utf8');
}
