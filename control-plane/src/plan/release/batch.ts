import type {
  Amount,
  BatchInstance,
  BatchSummary,
  Direction,
  InPlaceProgress,
  InPlaceStrategy,
  LeftOut,
  Picked,
  ReleaseRecord,
} from '../../model/release.js';
import { hasEnded } from '../../model/release.js';
import type { InstanceFacts, ReleaseFacts } from '../../model/release_facts.js';
import { spellUnfit } from './facts.js';
import { shareOf } from './shares.js';

/*
 * Who is in a batch, and who may be. Pure arithmetic over instances; docs/explanation/releases.md says why.
 */

/** A release in place: its strategy, and how far it is. */
export interface InPlace {
  readonly strategy: InPlaceStrategy;
  readonly progress: InPlaceProgress;
}

type Instances = Pick<ReleaseFacts, 'instances'>;

/** A batch stands in one znode, and its call in one request. */
export const MOST_IN_BATCH = 500;

/** Null for a weighted release. */
export function inPlaceOf(record: ReleaseRecord): InPlace | null {
  const { strategy, in_place: progress } = record;
  return strategy.kind === 'in_place' && progress !== null ? { strategy, progress } : null;
}

/** As `inPlaceOf`, where a weighted release is a mistake of the caller. */
export function needInPlace(record: ReleaseRecord): InPlace {
  const found = inPlaceOf(record);
  if (!found) throw new Error(`release ${record.id} is not in place`);
  return found;
}

/** The version that instances are brought to now. */
export function goalOf(record: ReleaseRecord): string {
  return record.state === 'rolling_back' ? record.stable : record.target;
}

/** The instances that the release drains, as its record stands. */
export function drainedBy(record: ReleaseRecord): readonly string[] {
  if (hasEnded(record.state)) return [];
  return (record.in_place?.batch ?? []).filter(isDrained).map(({ id }) => id);
}

/**
 * True while the release gives it no requests: also one that failed or was left out after it had been handed over, until its
 * batch is over. One that failed after it had been proven is left to the gateways' health.
 */
export function isDrained({ state, asked }: BatchInstance): boolean {
  if (state === 'failed' || state === 'left_out') return asked;
  return state === 'draining' || state === 'upgrading';
}

/** Examples: `{percent: 20}` of 12 → 2, of 3 → 1; `{count: 5}` of 3 → 5. */
export function amountOf(amount: Amount, total: number): number {
  if ('count' in amount) return amount.count;
  return Math.max(1, Math.floor((amount.percent * total) / 100));
}

/** `2` or `20%` */
export function spellAmount(amount: Amount): string {
  return 'count' in amount ? String(amount.count) : `${String(amount.percent)}%`;
}

/** What is to be done next: a batch, nothing any more, or to wait. */
export type Choice =
  | { readonly kind: 'batch'; readonly instances: readonly BatchInstance[] }
  | { readonly kind: 'done'; readonly left: readonly LeftOut[] }
  | { readonly kind: 'waits'; readonly waits: readonly string[] };

/** Who comes next once the present batch is over. */
export function chooseBatch(record: ReleaseRecord, facts: ReleaseFacts): Choice {
  const goal = goalOf(record);
  const back = record.state === 'rolling_back';
  if (!back && facts.held.length > 0) return { kind: 'waits', waits: facts.held };
  const open = candidates(record, facts);
  // What never began has nothing to take back; and stragglers that did not make it are left.
  if (back && (record.turned?.begun === false || record.stable === record.target))
    return { kind: 'done', left: open.map((one) => leftOut(one, goal)) };
  const free = open.filter((one) => one.taken === null && !one.leaving && one.presence !== 'doubtful');
  if (free.length === 0) {
    const unsure = open.filter((one) => one.taken === null);
    if (unsure.length > 0) return { kind: 'waits', waits: unsure.map(spellUnsure) };
    const { stragglers } = needInPlace(record).strategy;
    if (!back && stragglers !== 'leave' && open.length > 0)
      return { kind: 'waits', waits: open.map(spellTaken) };
    return { kind: 'done', left: open.map((one) => leftOut(one, goal)) };
  }
  const { most, ready, why } = room(record, facts);
  const picked: InstanceFacts[] = [];
  let cost = 0;
  const serves = servingIn(record, facts);
  for (const one of byCost(free, serves)) {
    if (picked.length >= most || (serves(one) && cost >= ready)) break;
    picked.push(one);
    cost += serves(one) ? 1 : 0;
  }
  if (picked.length === 0) return { kind: 'waits', waits: why };
  return {
    kind: 'batch',
    instances: picked.map((one) => ({ ...pickedOf(one), state: 'draining' as const, told: false })),
  };
}

/** How many batches a record remembers, and how many instances of each by name. */
const KEPT_BATCHES = 100;
const NAMED = 20;

/** The batches with the one that begins. */
export function withSummary(
  { batches }: InPlaceProgress,
  step: number,
  direction: Direction,
  ids: readonly string[],
): readonly BatchSummary[] {
  const summary = { step, direction, count: ids.length, instances: ids.slice(0, NAMED) };
  return [...batches, summary].slice(-KEPT_BATCHES);
}

/** `batch 2`, or on the way back `batch 1 of the way back`. */
export function spellBatch({ state, turned }: ReleaseRecord, step: number): string {
  if (state !== 'rolling_back' || turned === null) return `batch ${String(step + 1)}`;
  return `batch ${String(step - turned.step)} of the way back`;
}

/** The batches that are left as they would be without guards, ids only. */
export function estimateBatches(record: ReleaseRecord, facts: Instances): readonly (readonly string[])[] {
  const serves = servingIn(record, facts);
  const free = candidates(record, facts).filter((one) => one.taken === null);
  const inHand = new Set(record.in_place?.batch.map(({ id }) => id));
  const ids = byCost(free, serves)
    .map(({ id }) => id)
    .filter((id) => !inHand.has(id));
  const size = Math.max(1, sizes(record, facts).most);
  const batches: (readonly string[])[] = [];
  for (let at = 0; at < ids.length; at += size) batches.push(ids.slice(at, at + size));
  return batches;
}

/** The record's progress once the present batch is over: who did not make it is left out. */
export function closeBatch(record: ReleaseRecord): InPlaceProgress {
  const { progress } = needInPlace(record);
  const to = goalOf(record);
  const left = progress.batch.filter(({ state }) => state === 'failed' || state === 'left_out');
  const added = left.map(({ state: _state, told: _told, ...one }): LeftOut => ({ ...one, to }));
  return { ...progress, batch: [], called: null, left_out: addLeftOut(progress.left_out, added) };
}

/** The newest word on an instance is the one that counts. */
export function addLeftOut(before: readonly LeftOut[], added: readonly LeftOut[]): readonly LeftOut[] {
  const ids = new Set(added.map(({ id }) => id));
  return [...before.filter(({ id }) => !ids.has(id)), ...added];
}

/**
 * What the way back, or the release that takes over, finds under way: whoever was handed to an upgrade and is not proven stays
 * drained and comes first. One that was only drained is given back, unless `keep` says that it is taken over as well.
 */
export function carry(progress: InPlaceProgress, keep: 'asked' | 'drained'): readonly BatchInstance[] {
  return progress.batch
    .filter((one) => isDrained(one) && (one.asked || keep === 'drained'))
    .map((one) => ({ ...one, state: 'draining', told: false, reason: '' }));
}

function candidates(record: ReleaseRecord, facts: Instances): readonly InstanceFacts[] {
  const { progress } = needInPlace(record);
  const goal = goalOf(record);
  const excluded = new Set(progress.left_out.filter(({ to }) => to === goal).map(({ id }) => id));
  const owed = progress.left_out.filter(({ to, asked }) => to !== goal && asked);
  const owedIds = new Set(owed.map(({ id }) => id));
  const there = facts.instances.filter(({ presence }) => presence !== 'gone');
  const wanted = there.filter(
    ({ id, version }) => !excluded.has(id) && (version !== goal || owedIds.has(id)),
  );
  const lost = owed.filter(({ id }) => !there.some((one) => one.id === id)).map(asLost);
  return [...wanted, ...lost];
}

/** Somebody was asked to upgrade it, and it is not registered: it must be asked for all the same. */
function asLost({ id, host, port, from }: Picked): InstanceFacts {
  return {
    ...{ id, host, port, version: from, presence: 'gone', able: false, ready: false, leaving: false },
    ...{ taken: null, drained: true, undrained: [], in_flight: null, ill: [] },
  };
}

/** True for an instance that takes requests now: its loss would cost capacity. */
export function servingIn(record: ReleaseRecord, facts: Instances): (one: InstanceFacts) => boolean {
  const drained = new Set(drainedBy(record));
  const barred =
    Object.keys(record.shares).length > 0 &&
    facts.instances.some((one) => one.able && one.version === record.stable && !drained.has(one.id));
  return (one) => one.able && !drained.has(one.id) && (!barred || shareOf(record.shares, one.version) > 0);
}

interface Sizes {
  /** Instances of one batch at most. */
  readonly most: number;
  readonly unavailable: number;
}

function sizes(record: ReleaseRecord, facts: Instances): Sizes {
  const { strategy } = needInPlace(record);
  const total = facts.instances.filter(({ presence }) => presence !== 'gone').length;
  const unavailable = amountOf(strategy.max_unavailable, total);
  return { most: Math.min(amountOf(strategy.batch, total), unavailable, MOST_IN_BATCH), unavailable };
}

/** How many may be picked, how many ready ones among them, and why not more. */
function room(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): { readonly most: number; readonly ready: number; readonly why: readonly string[] } {
  const { progress } = needInPlace(record);
  const { most, unavailable } = sizes(record, facts);
  const serving = facts.instances.filter(servingIn(record, facts)).length;
  const out = new Set(progress.left_out.map(({ id }) => id));
  const away = facts.instances.filter(
    (one) => one.presence !== 'gone' && !one.ready && one.taken === null && !out.has(one.id),
  );
  const back = record.state === 'rolling_back';
  const limits: readonly (readonly [number, string])[] = [
    [
      back ? Infinity : unavailable - away.length,
      `max_unavailable is ${String(unavailable)}, and ${away.map(({ id }) => id).join(', ')} cannot serve already`,
    ],
    [serving - 1, `one instance only takes requests: draining it would leave none${spellUnfit(facts.unfit)}`],
    [
      serving - facts.min_available,
      `${String(serving)} instances take requests, and min_available asks for ${String(facts.min_available)}${spellUnfit(facts.unfit)}`,
    ],
  ];
  const ready = Math.max(0, Math.min(...limits.map(([limit]) => limit)));
  return { most, ready, why: limits.filter(([limit]) => limit <= 0).map(([, says]) => says) };
}

function byCost(
  instances: readonly InstanceFacts[],
  serves: (one: InstanceFacts) => boolean,
): readonly InstanceFacts[] {
  return [...instances].sort(
    (a, b) => Number(serves(a)) - Number(serves(b)) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}

function pickedOf({ id, host, port, version }: InstanceFacts): Picked {
  return { id, host, port, from: version, asked: false, reason: '' };
}

function leftOut(one: InstanceFacts, to: string): LeftOut {
  return { ...pickedOf(one), to, reason: one.taken ?? '' };
}

function spellTaken({ id, taken }: InstanceFacts): string {
  return `${id}: ${taken ?? ''}; give it back (ebbgate undrain or restore), or ebbgate release skip leaves it as it is`;
}

function spellUnsure({ id, leaving }: InstanceFacts): string {
  return leaving ? `${id} to be gone: it is leaving` : `${id}: its registration is missing`;
}
