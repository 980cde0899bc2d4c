import type { InstanceIntent } from '../model/intent.js';
import { eligible, type Peer } from '../model/set.js';
import { byCodeUnit } from './encode.js';
import type { Member } from './membership.js';

/*
 * The weights of a set in the units of people. While shares are in force, the weights of a set are parts of a million: what anybody reads
 * is the share of the requests in percent, and the weight that somebody gave.
 */

/**
 * Id → percent of the requests that the set sends there by weight. Backups count where nothing else is left. Example: weights 100, 100
 * and 200 → 25, 25 and 50; the same while v1 has a share of 50 % and weights of 250,000.
 */
export function trafficOf(peers: readonly Peer[]): ReadonlyMap<string, number> {
  const open = openTo(peers);
  const total = open.reduce((sum, { weight }) => sum + weight, 0);
  return new Map(open.map(({ id, weight }) => [id, (100 * weight) / total]));
}

/** Version → percent of the requests, to one decimal, sorted by version. */
export function sharesByVersion(peers: readonly Peer[]): Readonly<Record<string, number>> {
  const open = openTo(peers);
  const total = open.reduce((sum, { weight }) => sum + weight, 0);
  const weights = new Map<string, number>();
  for (const { version, weight } of open) weights.set(version, (weights.get(version) ?? 0) + weight);
  return Object.fromEntries(
    [...weights]
      .sort(([a], [b]) => byCodeUnit(a, b))
      .map(([version, weight]) => [version, Math.round((weight / total) * 1_000) / 10]),
  );
}

/** The weight that somebody gave: by hand, else by registration; 0 of one that is unknown. */
export function givenWeight(member: Member | undefined, intent: InstanceIntent | undefined): number {
  return intent?.weight ?? member?.registration.weight ?? 0;
}

/** To three decimals: as the API shows it. */
export function roundedPercent(percent: number): number {
  return Math.round(percent * 1_000) / 1_000;
}

/** `33.3 %`; what is there and rounds to nothing is `<0.1 %`. */
export function spellPercent(percent: number): string {
  if (percent > 0 && percent < 0.05) return '<0.1 %';
  return `${String(Math.round(percent * 10) / 10)} %`;
}

function openTo(peers: readonly Peer[]): readonly Peer[] {
  const usable = peers.filter(eligible);
  const first = usable.filter((peer) => peer.backup !== true);
  return first.length > 0 ? first : usable;
}
