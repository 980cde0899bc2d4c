import type { ReleaseRecord } from '../../../../model/release.js';
import type { BatchInstance, LeftOut, Picked } from '../../../../model/release_strategy.js';
import type { InstanceFacts, ReleaseFacts } from '../../../../model/release_facts.js';
import { amountOf } from '../../amount.js';
import { spellUnfit } from '../../facts.js';
import { shareOf } from '../../shares.js';
import { drainedBy, goalOf, inPlaceIn } from './batch.js';

/*
 * Who may be in the next batch. Pure arithmetic over instances; docs/explanation/releases.md says why.
 */

type Instances = Pick<ReleaseFacts, 'instances'>;

/** A batch is in one znode, and its call in one request. */
export const MOST_IN_BATCH = 500;

/** What is to be done next: a batch, nothing any more, or to wait. */
export type Choice =
  | { readonly kind: 'batch'; readonly instances: readonly BatchInstance[] }
  | { readonly kind: 'done'; readonly left: readonly LeftOut[] }
  | { readonly kind: 'waits'; readonly waits: readonly string[] };

/** Who comes next once the present batch is over. */
export function chooseBatch(record: ReleaseRecord, facts: ReleaseFacts): Choice {
  const goal = goalOf(record);
  const back = record.state === 'rolling_back';
  if (!back && facts.blocked_by.length > 0) return { kind: 'waits', waits: facts.blocked_by };
  const open = candidates(record, facts);
  // What never began has nothing to take back; and stragglers that did not make it are left.
  if (back && (record.turned?.begun === false || record.stable === record.target))
    return { kind: 'done', left: open.map((one) => leftOut(one, goal)) };
  const free = open.filter((one) => one.out_of_use === null && !one.leaving && one.presence !== 'doubtful');
  if (free.length === 0) {
    const unsure = open.filter((one) => one.out_of_use === null);
    if (unsure.length > 0) return { kind: 'waits', waits: unsure.map(spellUnsure) };
    const { stragglers } = inPlaceIn(record);
    if (!back && stragglers !== 'leave' && open.length > 0)
      return { kind: 'waits', waits: open.map(spellOutOfUse) };
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
    instances: picked.map((one) => ({ ...pickedOf(one), state: 'draining' as const, named: false })),
  };
}

/** The batches that are left as they would be without guards, ids only. */
export function estimateBatches(record: ReleaseRecord, facts: Instances): readonly (readonly string[])[] {
  const serves = servingIn(record, facts);
  const free = candidates(record, facts).filter((one) => one.out_of_use === null);
  const inHand = new Set(inPlaceIn(record).progress.batch.map(({ id }) => id));
  const ids = byCost(free, serves)
    .map(({ id }) => id)
    .filter((id) => !inHand.has(id));
  const size = Math.max(1, sizes(record, facts).most);
  const batches: (readonly string[])[] = [];
  for (let at = 0; at < ids.length; at += size) batches.push(ids.slice(at, at + size));
  return batches;
}

function candidates(record: ReleaseRecord, facts: Instances): readonly InstanceFacts[] {
  const { progress } = inPlaceIn(record);
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
    ...{ out_of_use: null, drained: true, undrained: [], in_flight: null, unhealthy: [] },
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
  const strategy = inPlaceIn(record);
  const total = facts.instances.filter(({ presence }) => presence !== 'gone').length;
  const unavailable = amountOf(strategy.max_unavailable, total);
  return { most: Math.min(amountOf(strategy.batch, total), unavailable, MOST_IN_BATCH), unavailable };
}

/** How many may be picked, how many ready ones among them, and why not more. */
function room(
  record: ReleaseRecord,
  facts: ReleaseFacts,
): { readonly most: number; readonly ready: number; readonly why: readonly string[] } {
  const { progress } = inPlaceIn(record);
  const { most, unavailable } = sizes(record, facts);
  const serving = facts.instances.filter(servingIn(record, facts)).length;
  const out = new Set(progress.left_out.map(({ id }) => id));
  const away = facts.instances.filter(
    (one) => one.presence !== 'gone' && !one.ready && one.out_of_use === null && !out.has(one.id),
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
  return { ...pickedOf(one), to, reason: one.out_of_use ?? '' };
}

function spellOutOfUse({ id, out_of_use }: InstanceFacts): string {
  return `${id}: ${out_of_use ?? ''}; give it back (ebbgate undrain or restore), or ebbgate release skip leaves it as it is`;
}

function spellUnsure({ id, leaving }: InstanceFacts): string {
  return leaving ? `${id} to be gone: it is leaving` : `${id}: its registration is missing`;
}
