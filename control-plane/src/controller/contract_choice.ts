import { type ContractVersion, type FleetContract, OLDEST_CONTRACT } from '../model/contract.js';
import type { Clock, Log } from '../model/ports.js';
import { chooseContract } from '../plan/choose_contract.js';
import { neededBy, writtenIn } from '../plan/encode.js';
import type { Inputs } from './inputs/inputs.js';
import type { Publication } from './office/publication.js';

export interface ContractChoiceDeps {
  readonly inputs: { readonly fleet: Pick<Inputs['fleet'], 'complete' | 'witnesses'> };
  readonly publication: Pick<Publication, 'remembered'>;
  readonly clock: Pick<Clock, 'monotonic' | 'wall'>;
  readonly log: Log;
  readonly settings: { readonly contractMost: ContractVersion };
}

/** The choice, and since when (wall clock) it has been below what is allowed; null while it is not. */
export type ContractNow = FleetContract & { readonly limited_since: number | null };

/** Which version of the contract sets are published in. Until the gateways are known it stays what was published. */
export class ContractChoice {
  readonly #deps: ContractChoiceDeps;
  #now: ContractNow;
  #chosen = false;

  constructor(deps: ContractChoiceDeps) {
    this.#deps = deps;
    this.#now = this.#keeping(OLDEST_CONTRACT);
  }

  /** The choice of the last look. */
  get now(): ContractNow {
    return this.#now;
  }

  /** Chooses by what is known of the gateways now. */
  look(): ContractVersion {
    const { inputs, clock, settings } = this.#deps;
    if (inputs.fleet.complete) {
      const fleet = chooseContract(inputs.fleet.witnesses(clock.monotonic()), settings.contractMost);
      const isLimited = fleet.limited_by.length > 0;
      this.#enter({ ...fleet, limited_since: isLimited ? (this.#now.limited_since ?? clock.wall()) : null });
      this.#chosen = true;
    } else if (!this.#chosen) this.#now = this.#keeping(this.#published());
    return this.#now.version;
  }

  /** The highest version that was chosen for what is published, as far as this controller knows it. */
  #published(): ContractVersion {
    const { publication, settings } = this.#deps;
    let newest: ContractVersion = OLDEST_CONTRACT;
    for (const { payload, document } of publication.remembered.values())
      if (writtenIn(payload) === 2 && 'peers' in document && neededBy(document) < 2) newest = 2;
    return newest > settings.contractMost ? settings.contractMost : newest;
  }

  #keeping(version: ContractVersion): ContractNow {
    const most = this.#deps.settings.contractMost;
    return { version, most, limited_by: [], left_behind: [], limited_since: null };
  }

  #enter(next: ContractNow): void {
    const { version, limited_by, left_behind } = next;
    if (this.#chosen && version !== this.#now.version)
      this.#deps.log.info(
        { version, limited_by, left_behind },
        'sets are written in another contract version',
      );
    this.#now = next;
  }
}
