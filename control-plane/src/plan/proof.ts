import { own, put } from '../model/dictionary.js';
import {
  inFlightKey,
  type Asked,
  type Departure,
  type FleetReport,
  type HeardGateway,
  type RosterEntry,
} from '../model/gateway.js';
import { isKeysName, KEYS } from '../model/key_documents.js';
import type { Position } from '../model/position.js';
import type { Convergence, DrainStatus } from '../model/resources.js';
import { byCodeUnit } from './encode.js';

/*
 * What can be proven from the gateways' heartbeats. A proof is a read: it is made again at every question and stored
 * nowhere. Whatever is not heard is unknown, and unknown is never empty.
 */

/** Who must be heard, and what was heard. All moments are monotonic milliseconds. */
export interface Witnesses {
  readonly roster: ReadonlyMap<string, RosterEntry>;
  /** Gateways that went and were not heard since. Absent = none. */
  readonly gone?: ReadonlyMap<string, Departure>;
  readonly fleet: FleetReport;
  readonly now: number;
  readonly silent_ms: number;
  /** Gateway → when its roster entry was seen to go: what was heard of it until then counts no more. */
  readonly left: ReadonlyMap<string, number>;
  /** Ids under which two running nginx report at once: the count of neither says anything of the other. */
  readonly shared: ReadonlySet<string>;
  /** Why nothing can be proven now whatever the heartbeats say, or null. */
  readonly unready: string | null;
  /** True for a while after a start and after a new epoch: what is not proven yet may be in a moment. */
  readonly learning: boolean;
}

const COUNTING = new WeakMap<object, readonly string[]>();

/**
 * Every gateway that counts: the roster, and whatever was heard and has not left since. One that fell silent before it
 * could be written into the roster may still be serving. A name that was never heard is no gateway: anybody who may write
 * Redis' list could block every drain by it. Sorted.
 */
export function gatewaysThatCount(
  witnesses: Pick<Witnesses, 'roster' | 'fleet' | 'left'>,
): readonly string[] {
  const known = COUNTING.get(witnesses);
  if (known) return known;
  const heard = [...witnesses.fleet.heard]
    .filter(([id, { changed_at }]) => changed_at > (witnesses.left.get(id) ?? -Infinity))
    .map(([id]) => id);
  const ids = [...new Set([...witnesses.roster.keys(), ...heard])].sort(byCodeUnit);
  COUNTING.set(witnesses, ids);
  return ids;
}

/** True if there were gateways, and every one has gone: nobody is left who could have a request. */
function haveAllGone(witnesses: Witnesses): boolean {
  return gatewaysThatCount(witnesses).length === 0 && (witnesses.gone?.size ?? 0) > 0;
}

const GONE_LATELY_MS = 86_400_000;
const MOST_GONE_LISTED = 20;

/** On whose word a proof rests at `wall`, and who has gone lately and is not asked. */
export function askedOf(witnesses: Witnesses, wall: number): Asked {
  const asked = gatewaysThatCount(witnesses);
  const not_asked = [...(witnesses.gone ?? [])]
    .filter(([id, { at }]) => !asked.includes(id) && wall - Date.parse(at) < GONE_LATELY_MS)
    .map(([id, { at, how }]) => ({ id, at, how }))
    .sort((a, b) => byCodeUnit(b.at, a.at) || byCodeUnit(a.id, b.id))
    .slice(0, MOST_GONE_LISTED);
  return { asked, not_asked };
}

/** True when a gateway's heartbeat has not changed for longer than allowed. */
export function isSilent(heard: HeardGateway, witnesses: Pick<Witnesses, 'now' | 'silent_ms'>): boolean {
  return witnesses.now - heard.changed_at > witnesses.silent_ms;
}

export type AckState =
  | { readonly state: 'acked'; readonly heard: HeardGateway }
  | { readonly state: 'behind' | 'unknown'; readonly message: string }
  | { readonly state: 'rejected'; readonly code: string; readonly message: string };

/** Whether gateway `id` obeys the set of `service` at position `target`. */
export function ackOf(id: string, service: string, target: Position, witnesses: Witnesses): AckState {
  const heard = witnesses.fleet.heard.get(id);
  if (!heard) return { state: 'unknown', message: `gateway ${id} has not been heard; it may be serving` };
  if (isSilent(heard, witnesses)) {
    const seconds = Math.floor((witnesses.now - heard.changed_at) / 1000);
    return {
      state: 'unknown',
      message: `gateway ${id} has been silent for ${String(seconds)} s; it may still be serving`,
    };
  }
  if (witnesses.shared.has(id))
    return {
      state: 'unknown',
      message: `two gateways report as ${id}, and each hides the other; give each its own id`,
    };
  const { applied, rejected } = heard.heartbeat;
  const refusal = rejected.find(
    (one) => one.service === service || (service === KEYS && isKeysName(one.service)),
  );
  if (refusal)
    return {
      state: 'rejected',
      code: refusal.code,
      message: `gateway ${id} rejected the set of ${service} (${refusal.code})`,
    };
  if (!applied)
    return { state: 'behind', message: `gateway ${id} has not caught up yet${spellProblems(heard)}` };
  if (applied.epoch !== target.epoch || applied.generation < target.generation) {
    const at = `${String(applied.epoch)}:${String(applied.generation)}`;
    const wanted = `${String(target.epoch)}:${String(target.generation)}`;
    const message = `gateway ${id} is at ${at} and has not acked ${wanted}${spellProblems(heard)}`;
    return { state: 'behind', message };
  }
  return { state: 'acked', heard };
}

/** Why a gateway may be behind, in its own words, to be put behind a sentence; empty if it is well. */
function spellProblems({ heartbeat }: HeardGateway): string {
  const problems = (heartbeat.problems ?? []).map(({ kind, reason }) => `${kind}: ${reason}`);
  return problems.length === 0 ? '' : ` (${problems.join('; ')})`;
}

/**
 * The position of the set that gives an instance no new request; or until when it is still left to the clients that are
 * bound to it; or null while neither is published.
 */
export type ProofTarget = Position | { readonly kept_until: string } | null;

/** Open requests at one instance by gateway; null = that gateway cannot be counted now. */
export function inFlightOf(
  service: string,
  instance: string,
  witnesses: Witnesses,
): Readonly<Record<string, number | null>> {
  const counts: Record<string, number | null> = {};
  for (const id of gatewaysThatCount(witnesses)) {
    const heard = witnesses.fleet.heard.get(id);
    const known = heard && !isSilent(heard, witnesses) && !witnesses.shared.has(id);
    put(counts, id, known && heard.heartbeat.uncounted === 0 ? openOn(heard, service, instance) : null);
  }
  return counts;
}

function openOn(heard: HeardGateway, service: string, instance: string): number {
  return own(heard.heartbeat.in_flight, inFlightKey(service, instance)) ?? 0;
}

/**
 * Whether `instance` is empty on every gateway, and will be: while clients that are bound to it may still come, a count
 * of zero says nothing of the next moment.
 */
export function proveDrained(
  service: string,
  instance: string,
  target: ProofTarget,
  witnesses: Witnesses,
): DrainStatus {
  const counts = inFlightOf(service, instance, witnesses);
  const values = Object.values(counts);
  const inFlight = values.includes(null) ? null : values.reduce<number>((sum, n) => sum + (n ?? 0), 0);
  const waiting: string[] = [];
  if (witnesses.unready !== null) waiting.push(witnesses.unready);
  else if (values.length === 0 && !haveAllGone(witnesses))
    waiting.push('no gateway has ever been heard, so nothing can be proven');
  if (!target) waiting.push(`the set of ${service} that drains it is not published yet`);
  else if ('kept_until' in target) waiting.push(`sticky clients are kept until ${target.kept_until}`);
  else
    for (const id of Object.keys(counts))
      waiting.push(...missingFrom(id, service, instance, target, witnesses));
  return { drained: waiting.length === 0, waiting_for: waiting, in_flight: inFlight };
}

function missingFrom(
  id: string,
  service: string,
  instance: string,
  target: Position,
  witnesses: Witnesses,
): readonly string[] {
  const ack = ackOf(id, service, target, witnesses);
  if (ack.state !== 'acked') return [ack.message];
  const { uncounted } = ack.heard.heartbeat;
  const open = openOn(ack.heard, service, instance);
  if (uncounted > 0)
    return [
      `gateway ${id} has ${String(uncounted)} open requests that it could not count by instance${spellProblems(ack.heard)}`,
    ];
  if (open > 0) return [`gateway ${id} still has ${String(open)} open request${open === 1 ? '' : 's'}`];
  return [];
}

/** True if what is missing includes a gateway that nobody can speak for: then time-out means `unproven`. */
export function isUnknowable(service: string, target: ProofTarget, witnesses: Witnesses): boolean {
  if (!target || witnesses.unready !== null) return true;
  if ('kept_until' in target) return false;
  const ids = gatewaysThatCount(witnesses);
  if (ids.length === 0) return !haveAllGone(witnesses);
  return ids.some((id) => ackOf(id, service, target, witnesses).state !== 'acked');
}

/** Who follows the set of `service` at position `target`. */
export function convergenceOf(service: string, target: Position, witnesses: Witnesses): Convergence {
  const gateways = gatewaysThatCount(witnesses).map((id) => {
    const ack = ackOf(id, service, target, witnesses);
    const applied = witnesses.fleet.heard.get(id)?.heartbeat.applied ?? null;
    return { id, applied, state: ack.state, ...(ack.state === 'rejected' ? { code: ack.code } : {}) };
  });
  const converged =
    witnesses.unready === null && gateways.length > 0 && gateways.every((one) => one.state === 'acked');
  return { service, target, converged, gateways };
}
