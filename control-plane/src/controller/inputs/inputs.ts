import type { Freeze } from '../../model/freeze.js';
import type { FreezeStore, StoredFreeze } from '../../model/freeze_ports.js';
import type { ServiceEvent, StoredIntent } from '../../model/intent.js';
import { checkName } from '../../model/names.js';
import type {
  Clock,
  Feedback,
  HistoryStore,
  IntentStore,
  Lifecycle,
  Publisher,
  RegistrySource,
  RosterStore,
} from '../../model/ports.js';
import type { RegistryState } from '../../model/registration.js';
import type { ReleaseTraffic, ServiceReleases, StoredRelease } from '../../model/release.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import type { ApiConsumerStore, StoredConsumer } from '../../model/api_consumer_ports.js';
import type { StoredToken, TokenStore } from '../../model/token_ports.js';
import { trafficOf } from '../../plan/release/traffic.js';
import { Fleet } from './fleet.js';

/** Where everything comes from that a pass is made of. */
export interface Sources {
  readonly registry: RegistrySource;
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly freezes: FreezeStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
  readonly feedback: Feedback;
  readonly publisher: Publisher;
}

export interface InputsDeps extends Sources {
  readonly clock: Pick<Clock, 'monotonic' | 'wall'>;
  /** Called after something new came in. */
  readonly wake: () => void;
}

/** Who takes in at once what is not kept in a slot here. */
export interface Takers {
  readonly registry: { take(state: RegistryState, now: number): void };
  /** Redis may not be what it was. */
  readonly doubt: (reason: string) => void;
}

/** Epochs are unix seconds at the least. One so far above the clock and the present epoch (ten years) is not believed. */
const FAR_FUTURE_S = 315_360_000;
/** The one name in the store of freezes. */
const FREEZE = 'freeze';

type ByService<T> = ReadonlyMap<string, T>;

/**
 * The newest state of every source, in one slot each. Sources push complete states at any moment; the loop reads the slots when a
 * pass begins. A lost source changes no slot: what was read last stays.
 */
export class Inputs {
  readonly fleet = new Fleet();
  readonly #deps: InputsDeps;
  #intents: ByService<StoredIntent> | null = null;
  #history: ByService<readonly ServiceEvent[]> = new Map();
  #releases: ByService<ServiceReleases> | null = null;
  #traffic: ByService<ReleaseTraffic> = new Map();
  #freezes: ReadonlyMap<string, StoredFreeze> | null = null;
  #tokens: ReadonlyMap<string, StoredToken> | null = null;
  #apiConsumers: ReadonlyMap<string, StoredConsumer> | null = null;
  #seenWhole = false;

  constructor(deps: InputsDeps) {
    this.#deps = deps;
  }

  /** Subscribes to every source. Call it once, before any of them starts. */
  subscribe({ registry: membership, doubt }: Takers): void {
    const { registry, intents, histories, roster, releases, freezes, tokens } = this.#deps;
    const { apiConsumers, feedback, publisher, clock } = this.#deps;
    const into =
      <T>(take: (newest: T, now: number) => void) =>
      (newest: T): void => {
        take(newest, clock.monotonic());
        this.#deps.wake();
      };
    registry.onState(
      into((state, now) => {
        membership.take(state, now);
      }),
    );
    intents.onChange(into((newest) => (this.#intents = ofServices(newest))));
    histories.onChange(into((newest) => (this.#history = eventsIn(newest))));
    roster.onChange(
      into((newest, now) => {
        this.fleet.takeRoster(newest, now);
      }),
    );
    releases.onChange(
      into((newest) => {
        this.#releases = newest;
        this.#traffic = trafficOf(newest, this.#traffic);
      }),
    );
    freezes.onChange(into((newest) => (this.#freezes = newest)));
    tokens.onChange(into((newest) => (this.#tokens = newest)));
    apiConsumers.onChange(into((newest) => (this.#apiConsumers = newest)));
    feedback.onReport(
      into((report, now) => {
        this.fleet.takeReport(report, now);
      }),
    );
    publisher.onDoubt(into(doubt));
  }

  /** The sources, in the order in which they are to be started. */
  get sources(): readonly Lifecycle[] {
    const { publisher, feedback, intents, freezes, tokens, histories, releases, roster, registry } =
      this.#deps;
    const { apiConsumers } = this.#deps;
    return [
      publisher,
      feedback,
      tokens,
      apiConsumers,
      intents,
      freezes,
      histories,
      releases,
      roster,
      registry,
    ];
  }

  /** A pass has seen registry, intents and releases complete: from then on what is not known does not exist. */
  get seenWhole(): boolean {
    return this.#seenWhole;
  }
  noteSeenWhole(): void {
    this.#seenWhole = true;
  }

  /** Null before they were read. */
  get intents(): ByService<StoredIntent> | null {
    return this.#intents;
  }
  /** What people did, as it was shown last. */
  get history(): ByService<readonly ServiceEvent[]> {
    return this.#history;
  }

  /** The releases that run or ended, by service; null before they were read. */
  get releases(): ByService<ServiceReleases> | null {
    return this.#releases;
  }
  /** What the running releases ask of the sets. */
  get traffic(): ByService<ReleaseTraffic> {
    return this.#traffic;
  }
  /** The releases that run. */
  get running(): readonly StoredRelease[] {
    return [...(this.#releases?.values() ?? [])].flatMap(({ current }) => current ?? []);
  }

  /** The freeze of everything; null = there is none, undefined before it was read. */
  get storedFreeze(): StoredFreeze | null | undefined {
    return this.#freezes === null ? undefined : (this.#freezes.get(FREEZE) ?? null);
  }
  /** Null = nothing is frozen; `unknown` before it was read, and while its record cannot be read. */
  get freeze(): Freeze | null | 'unknown' {
    const stored = this.storedFreeze;
    if (stored === undefined || this.#deps.freezes.damaged().size > 0) return 'unknown';
    return stored?.record.freeze ?? null;
  }

  /** By name; null before they were read. */
  get tokens(): ReadonlyMap<string, StoredToken> | null {
    return this.#tokens;
  }

  /** By name; null before they were read. */
  get apiConsumers(): ReadonlyMap<string, StoredConsumer> | null {
    return this.#apiConsumers;
  }
  /** Consumers whose record is damaged and was never seen whole: their keys stay as they were published. */
  unreadableConsumers(): ReadonlySet<string> {
    return new Set(
      [...this.#deps.apiConsumers.damaged().keys()].filter((name) => !this.#apiConsumers?.has(name)),
    );
  }

  /** Service → why: its record, or its release, is damaged and was never seen whole. Its set stays as it was published. */
  unreadable(): ByService<string> {
    const { intents, releases } = this.#deps;
    const records = [...ofServices(intents.damaged())].filter(([service]) => !this.#intents?.has(service));
    const running = [...releases.damaged()]
      .filter(([service]) => !this.#releases?.get(service)?.current)
      .map(([service, reason]) => [service, `its release: ${reason}`] as const);
    return new Map([...records, ...running]);
  }

  /** The highest epoch that a gateway follows; 0 if none. What no honest epoch reaches does not count: it would never come down again. */
  highestEpoch(own: number): number {
    const seconds = Math.floor(this.#deps.clock.wall() / 1_000);
    return this.fleet.highestEpoch(Math.max(own, seconds) + FAR_FUTURE_S);
  }
}

/** A znode that a person made under the intents may have any name; one that is no service's steers nothing. */
function ofServices<T>(named: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const bad = [...named.keys()].filter((name) => !checkName('service', name).ok);
  if (bad.length === 0) return named;
  return new Map([...named].filter(([name]) => !bad.includes(name)));
}

function eventsIn(
  histories: ReadonlyMap<string, { readonly events: readonly ServiceEvent[] }>,
): ByService<readonly ServiceEvent[]> {
  return new Map([...histories].map(([service, { events }]) => [service, events]));
}
