/**
 * The versions of the set document (docs/contract/wire.md). In memory a set always has the form of version 1, with every member
 * that this version needs; the later ones are other ways to write it.
 */
export const CONTRACTS = [1, 2] as const;
export type ContractVersion = (typeof CONTRACTS)[number];

/** What a gateway understands of which nobody knows more. */
export const OLDEST_CONTRACT: ContractVersion = 1;
export const NEWEST_CONTRACT: ContractVersion = 2;

/** The version that sets are published in, and whom that concerns. */
export interface FleetContract {
  readonly version: ContractVersion;
  /** The highest that this controller may choose. */
  readonly most: ContractVersion;
  /** Gateways that do not understand the next higher version that is allowed; empty at the highest. Sorted. */
  readonly limited_by: readonly string[];
  /** Gateways that do not understand `version`: they serve what they had. Sorted. */
  readonly left_behind: readonly string[];
}

/** What is in force while nobody has said what the gateways understand. */
export const OLDEST_FLEET: FleetContract = {
  ...{ version: OLDEST_CONTRACT, most: NEWEST_CONTRACT },
  ...{ limited_by: [], left_behind: [] },
};
