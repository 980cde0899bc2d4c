import type { StoredConsumer } from '../model/api_consumer_ports.js';
import { isKeysName } from '../model/key_documents.js';
import type { EncodedDocument } from '../model/set.js';
import type { StoredIntent } from '../model/intent.js';
import type { CompiledService } from '../plan/compile.js';
import { remembered } from '../plan/incremental.js';
import type { ContractChoice } from './contract_choice.js';
import type { DesiredState, Traffic, Withheld } from './desired_state.js';
import { KeyDocuments } from '../plan/key_documents.js';
import type { Inputs } from './inputs/inputs.js';
import type { CheckedClock } from './office/checked_clock.js';
import type { Publication } from './office/publication.js';

export interface CompilationDeps {
  readonly inputs: Inputs;
  readonly desired: DesiredState;
  readonly publication: Publication;
  readonly contract: ContractChoice;
  readonly clock: CheckedClock;
}

/** What one pass compiled, and from which records. */
interface Wanted {
  readonly documents: ReadonlyMap<string, EncodedDocument>;
  readonly compiled: ReadonlyMap<string, CompiledService>;
  readonly intents: ReadonlyMap<string, StoredIntent>;
  readonly traffic: Traffic;
  readonly consumers: ReadonlyMap<string, StoredConsumer> | null;
}

/** What the last pass wanted published. Everything that asks for it asks here, and nothing is compiled for an answer. */
export class Compilation {
  readonly #deps: CompilationDeps;
  #withheld: Withheld = { services: new Map(), published: new Map() };
  #wanted: Wanted = {
    ...{ documents: new Map(), compiled: new Map(), intents: new Map(), traffic: new Map() },
    consumers: null,
  };
  readonly #keyDocuments = new KeyDocuments();
  #keys: ReadonlyMap<string, EncodedDocument> = new Map();
  /** Keys first: a service that begins to ask for them must not refuse those that are there. */
  readonly #together = remembered(
    (sets: ReadonlyMap<string, EncodedDocument>, keys: ReadonlyMap<string, EncodedDocument>) =>
      keys.size === 0 ? sets : new Map([...keys, ...sets]),
  );

  constructor(deps: CompilationDeps) {
    this.#deps = deps;
  }

  /** Service → its set, and what it was compiled from. */
  get compiled(): ReadonlyMap<string, CompiledService> {
    return this.#wanted.compiled;
  }

  /** Brings membership up to now and compiles; null while intents or releases were never read: unknown is not empty. */
  run(): ReadonlyMap<string, EncodedDocument> | null {
    const { inputs, desired, clock, contract } = this.#deps;
    const { intents, releases, traffic, apiConsumers } = inputs;
    if (!intents || !releases || !apiConsumers) return null;
    const [wall, due] = [clock.wall(), clock.due()];
    desired.observe(intents, clock.monotonic(), { wall, due }, traffic);
    this.#withhold();
    const { documents: sets, compiled } = desired.compile(
      ...([intents, due, this.#withheld, traffic, contract.look()] as const),
    );
    this.#keys = this.#keyDocuments.compile(apiConsumers, inputs.unreadableConsumers(), () =>
      this.#deps.publication.published.values(),
    );
    const documents = this.#together(sets, this.#keys);
    this.#wanted = { documents, compiled, intents, traffic, consumers: apiConsumers };
    return documents;
  }

  /** True if the set is published that the present record and the present release of `service` ask for, and that is sure. */
  isInForce(service: string): boolean {
    const { inputs, publication } = this.#deps;
    const { documents, intents, traffic } = this.#wanted;
    const wanted = documents.get(service);
    const isPresent =
      inputs.intents?.get(service)?.record === intents.get(service)?.record &&
      inputs.traffic.get(service) === traffic.get(service);
    return wanted !== undefined && isPresent && publication.isInForce(service, wanted.hash);
  }

  /** True if the keys of all consumers are published as they are now, and that is sure. */
  areKeysInForce(): boolean {
    const { inputs, publication } = this.#deps;
    if (inputs.apiConsumers !== this.#wanted.consumers) return false;
    for (const [name, { hash }] of this.#keys) if (!publication.isInForce(name, hash)) return false;
    for (const [name, { document }] of publication.published)
      if (isKeysName(name) && !this.#keys.has(name) && !('removed' in document)) return false;
    return true;
  }

  /** The same object while nothing is withheld, so that nothing is compiled again for it. */
  #withhold(): void {
    const { inputs, publication } = this.#deps;
    const services = inputs.unreadable();
    const none = services.size === 0 && this.#withheld.services.size === 0;
    if (!none) this.#withheld = { services, published: publication.published };
  }
}
