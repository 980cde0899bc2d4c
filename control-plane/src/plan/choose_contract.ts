import { CONTRACTS, OLDEST_CONTRACT, type ContractVersion, type FleetContract } from '../model/contract.js';
import { gatewaysThatCount, type Witnesses } from './proof.js';

/** Those whose word counts, and what each said last. */
type Fleet = Pick<Witnesses, 'roster' | 'fleet' | 'left'>;

const OLDEST_ONLY: readonly number[] = [OLDEST_CONTRACT];

/**
 * The versions that gateway `id` understands: as it said last, else as the roster remembers it, else only the oldest. Silence
 * changes nothing: it may be serving.
 */
export function understoodBy(
  id: string,
  { roster, fleet }: Pick<Fleet, 'roster' | 'fleet'>,
): readonly number[] {
  return fleet.heard.get(id)?.heartbeat.contracts ?? roster.get(id)?.contracts ?? OLDEST_ONLY;
}

/** The gateways that count and do not understand `version`. Sorted. */
export function withoutContract(witnesses: Fleet, version: ContractVersion): readonly string[] {
  return gatewaysThatCount(witnesses).filter((id) => !understoodBy(id, witnesses).includes(version));
}

/**
 * The highest version up to `most` that every gateway understands. Where there is none, the one that most of them understand, of
 * those the lowest. Without any gateway the oldest: whoever comes first may be an old one.
 *
 * Example: [1, 2] and [1, 2] → 2; [1, 2] and [1] → 1, limited by the second; [1, 2] and [3] → 2, the second is left behind.
 */
export function chooseContract(witnesses: Fleet, most: ContractVersion): FleetContract {
  const gateways = gatewaysThatCount(witnesses);
  const without = (version: ContractVersion): readonly string[] => withoutContract(witnesses, version);
  const allowed = CONTRACTS.filter((version) => version <= most);
  const nobody = gateways.filter((id) => !understoodBy(id, witnesses).some((one) => isKnown(one, allowed)));
  const missing = allowed.map((version) => ({
    version,
    by: without(version).filter((id) => !nobody.includes(id)),
  }));
  const fits = missing.filter(({ by }) => by.length === 0).at(-1);
  const best = missing.reduce((a, b) => (b.by.length < a.by.length ? b : a));
  const version = gateways.length === nobody.length ? OLDEST_CONTRACT : (fits ?? best).version;
  const next = missing.find((one) => one.version > version);
  return { version, most, limited_by: next?.by ?? [], left_behind: without(version) };
}

function isKnown(version: number, allowed: readonly ContractVersion[]): boolean {
  return allowed.some((one) => one === version);
}
