import type { FreezeStore } from '../model/freeze_ports.js';
import type { ServiceEvent, StoredIntent } from '../model/intent.js';
import type {
  Clock,
  ConsumerRegistration,
  ControlPlane,
  Feedback,
  HistoryStore,
  IntentStore,
  Lifecycle,
  LinkState,
  Log,
  Office,
  Publisher,
  RegistrySource,
  RosterStore,
  StoreClocks,
} from '../model/ports.js';
import type { Hooks } from '../model/hooks.js';
import { checkName } from '../model/names.js';
import type { Problem } from '../model/problem.js';
import type { Prometheus } from '../model/prometheus.js';
import type { ReleasePlane } from '../model/release_plane.js';
import type { ReleaseStore, TrafficReader } from '../model/release_ports.js';
import type { IntentResource } from '../model/resources.js';
import type { Mutation, MutationContext, MutationResource } from '../model/mutation.js';
import type { ReadinessResource } from '../model/readiness.js';
import { err, type Result } from '../model/result.js';
import type { EncodedDocument } from '../model/set.js';
import type { CompiledService } from '../plan/compile.js';
import { findProblems } from '../plan/find_problems.js';
import { NOTHING_TOLD, observeHealth } from '../plan/health_events.js';
import { describeIntents } from '../plan/describe_fleet.js';
import { describeEvents } from '../plan/describe_service.js';
import { DEFAULT_RULES } from '../plan/membership.js';
import type { World } from '../plan/world.js';
import { Backoff } from './backoff.js';
import { hasCaughtUp } from './office/catch_up.js';
import { DataLoss } from './office/data_loss.js';
import { DesiredState, type Traffic, type Withheld } from './desired_state.js';
import { Fleet } from './inputs/fleet.js';
import { forgetGateways } from './commands/forget_gateways.js';
import { FreezeOfAll } from './commands/freeze_of_all.js';
import { mutateGateway, mutateServices, officeRefusal, type MutationDesk } from './commands/mutations.js';
import { joinGateway } from './commands/join_gateway.js';
import { Scheduler } from './scheduler.js';
import { ProblemLog } from './problem_log.js';
import { Publication } from './office/publication.js';
import { readinessOf } from './readiness.js';
import { Releases } from './releases/releases.js';
import { damagedRecords, storeTrouble } from './inputs/store_problems.js';
import { CheckedClock } from './office/checked_clock.js';
import { ServiceQueue } from './commands/service_queue.js';
import { Housekeeping } from './housekeeping.js';
import { WorldReads } from './reads.js';
import { Writability } from './inputs/writability.js';
import { NOT_LEADER } from './commands/write_loop.js';

/** Everything the controller stands on; main.ts hands the implementations in. */
export interface ControllerDeps {
  readonly registry: RegistrySource;
  readonly office: Office;
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly traffic: TrafficReader;
  readonly freezes: FreezeStore;
  readonly hooks: Hooks;
  readonly prometheus: Prometheus;
  readonly consumers: ConsumerRegistration;
  readonly publisher: Publisher;
  readonly feedback: Feedback;
  readonly zookeeper: () => LinkState;
  /** Tries to write into ZooKeeper, and changes nothing: null, or why it was refused. */
  readonly probeZookeeper: () => Promise<string | null>;
  readonly clock: Clock;
  readonly storeClocks: StoreClocks;
  readonly log: Log;
  /** A fresh operation id. */
  readonly newId: () => string;
  /** A fresh release id. */
  readonly newReleaseId: () => string;
  readonly settings: ControllerSettings;
}

/** Milliseconds. */
export interface ControllerSettings {
  readonly settleMs: number;
  readonly suspectMs: number;
  readonly gatewaySilentMs: number;
  readonly drainTimeoutMs: number;
  /** How far the wall clocks of this process and of the stores may be apart. */
  readonly clockBoundMs: number;
}

/** Silence is noticed within this, whatever else happens. */
const TICK_MS = 500;
/** How often this process looks at the clock, and from which gap on it must have stood still. */
const PULSE_MS = { every: 250, gap: 3_000 };
/** The waits between two new epochs that a gateway's claim to follow a higher one causes. */
const OUTBID_MS = { first: 5_000, most: 600_000 };
/** Epochs are unix seconds at the least. One so far above the clock and the present epoch (ten years) is not believed. */
const FAR_FUTURE_S = 315_360_000;
/** A proof needs Redis to have confirmed within this that what was published still stands. */
const VERIFIED_MS = 5_000;
/** How often everything in Redis is compared with what was published; less often while a new epoch does not mend it. */
const AUDIT_MS = { usual: 30_000, most: 3_600_000 };
/** How soon a controller that took over looks again whether it knows the last wishes. */
const CATCH_UP_MS = 50;
/** How long a start waits for the stores to tell the time. */
const CLOCK_MS = 10_000;
/** How long the answer to an acceptance of a data loss waits for everything to stand again. */
const ACCEPTANCE_MS = 15_000;

/**
 * The shell around the plan. Sources push their newest state into it; one loop recomputes everything from full state,
 * publishes what differs, and records what has ended. A notification that was lost costs latency, never correctness.
 */
export class Controller extends WorldReads implements ControlPlane, Lifecycle {
  readonly #deps: ControllerDeps;
  readonly #clock: CheckedClock;
  readonly #startedAt: number;
  readonly #scheduler: Scheduler;
  readonly #queue: ServiceQueue;
  readonly #desired: DesiredState;
  readonly #publication: Publication;
  readonly #stop = new AbortController();
  readonly #fleet = new Fleet();
  readonly #housekeeping: Housekeeping;
  readonly #loss: DataLoss;
  readonly #releases: Releases;
  readonly #freeze: FreezeOfAll;
  readonly #problems: ProblemLog;
  readonly #writability: Writability;
  #intents: ReadonlyMap<string, StoredIntent> | null = null;
  #history: ReadonlyMap<string, readonly ServiceEvent[]> = new Map();
  #compiled: ReadonlyMap<string, CompiledService> = new Map();
  /** What the last pass wanted published, and the releases that it was compiled for. */
  #wanted: { readonly documents: ReadonlyMap<string, EncodedDocument>; readonly traffic: Traffic } = {
    documents: new Map(),
    traffic: new Map(),
  };
  /** A pass has seen registry, intents and releases complete: from then on what is not known does not exist. */
  #seenWhole = false;
  #loop: Promise<void> | null = null;
  #passesBegun = 0;
  #passesEnded = 0;
  #watchers = new Set<() => void>();
  #pulse: NodeJS.Timeout | undefined;
  #pulseAt: number;
  readonly #audits: Backoff;
  #auditAt: number;
  readonly #outbid: Backoff;
  /** The term whose first publications are learned about, and until when. */
  #learning: { readonly epoch: number | null; readonly until: number };
  #toldHealth = NOTHING_TOLD;
  #withheld: Withheld = { services: new Map(), published: new Map() };

  constructor(given: ControllerDeps) {
    super();
    this.#clock = new CheckedClock({
      clock: given.clock,
      stores: given.storeClocks,
      boundMs: given.settings.clockBoundMs,
      changed: () => {
        this.#scheduler.wake();
      },
    });
    // Nobody here sees the process' own wall clock: all write and judge by the one that is checked.
    const deps = { ...given, clock: this.#clock };
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
    this.#scheduler = new Scheduler(() => deps.clock.monotonic());
    this.#queue = new ServiceQueue(deps.clock);
    this.#desired = new DesiredState({
      ...DEFAULT_RULES,
      settle_ms: deps.settings.settleMs,
      suspect_ms: deps.settings.suspectMs,
    });
    this.#publication = new Publication({
      publisher: deps.publisher,
      office: deps.office,
      clock: deps.clock,
      log: deps.log,
      highestHeard: () => this.#highestHeard(),
      settleLoss: (term) => this.#loss.settle(term),
      onFirstRead: (published) => {
        this.#desired.remember(published, deps.clock.monotonic());
      },
    });
    this.#housekeeping = new Housekeeping({
      ...deps,
      refused: (term) => this.#publication.refused(term),
      doubt: (reason) => {
        this.#publication.doubt(reason);
      },
      drop: (service, ids) => {
        this.#desired.drop(service, ids);
        this.#scheduler.wake();
      },
    });
    this.#loss = new DataLoss({
      ...deps,
      hold: () => this.#publication.hold,
      gateways: () => {
        // Redis is ahead: this controller began after the loss.
        const began = this.#publication.hold === null ? 'before' : 'after';
        return this.#fleet.before({ began, wall: deps.clock.wall() });
      },
      history: () => this.#history,
      world: () => this.world(),
      running: () => this.#releases.records(),
      frozen: () => this.#freeze.stored?.record ?? null,
      published: () => this.#publication.remembered,
      begin: () => {
        this.#publication.acceptLoss();
        this.#scheduler.urge();
      },
      ended: async () => {
        const isOver = (): boolean => this.#loss.reason === null && this.#publication.state === 'sealed';
        await this.#until(ACCEPTANCE_MS, isOver);
        return isOver();
      },
    });
    this.#freeze = new FreezeOfAll(deps.freezes);
    this.#problems = new ProblemLog(deps.log);
    const { clock, log, zookeeper, publisher, probeZookeeper } = deps;
    this.#writability = new Writability(
      [
        { name: 'zookeeper', link: zookeeper, probe: probeZookeeper },
        { name: 'redis', link: () => publisher.state(), probe: () => publisher.probe() },
      ],
      {
        clock,
        log,
        moved: () => {
          this.#scheduler.wake();
        },
      },
    );
    this.#releases = this.#createReleases();
    this.#audits = new Backoff(deps.clock, 2 * AUDIT_MS.usual, AUDIT_MS.most);
    this.#auditAt = deps.clock.monotonic() + AUDIT_MS.usual;
    this.#outbid = new Backoff(deps.clock, OUTBID_MS.first, OUTBID_MS.most);
    this.#pulseAt = deps.clock.monotonic();
    this.#learning = { epoch: null, until: this.#learnUntil() };
  }

  async start(): Promise<void> {
    const { registry, intents, histories, roster, consumers, publisher, feedback, clock } = this.#deps;
    registry.onState((state) => {
      this.#desired.take(state, clock.monotonic());
      this.#scheduler.wake();
    });
    intents.onChange((newest) => {
      this.#intents = ofServices(newest);
      this.#scheduler.wake();
    });
    histories.onChange((newest) => {
      this.#history = new Map([...newest].map(([service, { events }]) => [service, events]));
      this.#scheduler.wake();
    });
    roster.onChange((newest) => {
      this.#fleet.takeRoster(newest, clock.monotonic());
      this.#scheduler.wake();
    });
    feedback.onReport((report) => {
      this.#fleet.takeReport(report, clock.monotonic());
      this.#scheduler.wake();
    });
    publisher.onDoubt((reason) => {
      this.#publication.reconnected(reason);
      this.#scheduler.wake();
    });
    await this.#freeze.start(() => {
      this.#scheduler.wake();
    });
    for (const part of [publisher, feedback, intents, histories, this.#releases, roster, registry, consumers])
      await part.start();
    await this.#writability.start();
    this.#clock.start();
    this.#pulse = setInterval(() => {
      this.#beat();
    }, PULSE_MS.every);
    this.#loop = this.#run(this.#stop.signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#pulse);
    await this.#clock.close();
    this.#notify();
    await this.#loop;
    await this.#writability.close();
    this.#notify();
    const { registry, intents, histories, roster, consumers, publisher, feedback, freezes } = this.#deps;
    for (const part of [
      consumers,
      registry,
      roster,
      this.#releases,
      freezes,
      histories,
      intents,
      feedback,
      publisher,
    ])
      await part.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (await this.#scheduler.next(signal)) {
      this.#passesBegun += 1;
      try {
        this.#beat();
        await this.#pass();
      } catch (error) {
        // A bug in one pass must not end the loop: the next pass starts from full state again.
        this.#deps.log.error({ error: String(error), stack: (error as Error).stack }, 'a pass failed');
      }
      this.#setAlarms();
      this.#passesEnded = this.#passesBegun;
      this.#notify();
    }
  }

  /** Notices that this process stood still: then the clock has gone on, and nothing that was read has. */
  #beat(): void {
    const now = this.#deps.clock.monotonic();
    if (now - this.#pulseAt > PULSE_MS.gap) this.#desired.stoodStill(now);
    this.#pulseAt = now;
  }

  /** One reconcile pass: everything from full state, in the order of the data's way. */
  async #pass(): Promise<void> {
    const { clock } = this.#deps;
    const lost = this.#loss.seen !== null;
    this.#loss.tendHistories();
    if (lost) await this.#publication.look();
    const open = !lost && (await this.#publication.prepare());
    this.#learn();
    if (!this.#desired.view) return;
    const mayPublish = open && (await this.#hasCaughtUp());
    // From here to the first publish nothing waits: a wish that comes later finds what is under way marked as unsure.
    const intents = this.#intents;
    if (!intents || !this.#releases.known) return;
    const traffic = this.#releases.traffic();
    const [wall, due] = [clock.wall(), this.#clock.due()];
    this.#desired.observe(intents, clock.monotonic(), { wall, due }, traffic);
    this.#withhold(intents);
    const { documents, compiled } = this.#desired.compile(intents, due, this.#withheld, traffic);
    this.#compiled = compiled;
    this.#seenWhole = true;
    this.#wanted = { documents, traffic };
    if (mayPublish) await this.#publication.publishAll(documents);
    const { state, term } = this.#publication;
    const acting = state === 'fenced' || this.#loss.reason !== null ? null : term;
    this.#tellHealth();
    await this.#housekeeping.run(this.world(), acting, this.#fleet.complete);
    await this.#releases.run(this.world(), this.#isTimeKnown() ? acting : null);
    this.#problems.take(findProblems(this.world()), clock.wall());
    await this.#audit();
  }

  /** Gateways' findings become events of the service, once for each change. */
  #tellHealth(): void {
    const { told, events } = observeHealth(this.#toldHealth, this.world());
    this.#toldHealth = told;
    const at = new Date(this.#deps.clock.wall()).toISOString();
    for (const { service, ...event } of events) this.#desired.tell(service, { at, by: 'gateways', ...event });
  }

  /** A release is not looked at before the stores have told the time, or had the chance to: its spans must not begin with a jump. */
  #isTimeKnown(): boolean {
    return this.#clock.state().state !== 'unknown' || this.#clock.monotonic() - this.#startedAt > CLOCK_MS;
  }

  /** Whatever happened in a pass, another one follows. */
  #setAlarms(): void {
    const { clock, settings } = this.#deps;
    const { state, retryAt, takenOver } = this.#publication;
    this.#scheduler.wakeAt(clock.monotonic() + Math.min(TICK_MS, settings.gatewaySilentMs / 3));
    this.#scheduler.wakeAt(this.#desired.wakeAt);
    this.#scheduler.wakeAt(retryAt);
    this.#scheduler.wakeAt(this.#releases.wakeAt);
    const waiting =
      (state === 'unread' || state === 'read' || takenOver !== null) && this.#loss.seen === null;
    if (waiting && state !== 'fenced' && retryAt === Infinity)
      this.#scheduler.wakeAt(clock.monotonic() + CATCH_UP_MS);
  }

  /** Services whose record, or whose release, is damaged and was never seen whole. */
  #withhold(intents: ReadonlyMap<string, StoredIntent>): void {
    const damaged = [...ofServices(this.#deps.intents.damaged())].filter(
      ([service]) => !intents.has(service),
    );
    const services = new Map([...damaged, ...this.#releases.unreadable()]);
    const none = services.size === 0 && this.#withheld.services.size === 0;
    if (!none) this.#withheld = { services, published: this.#publication.published };
  }

  /** True unless the office was taken over and the last wishes of the one before are still on their way. */
  async #hasCaughtUp(): Promise<boolean> {
    const term = this.#publication.takenOver;
    if (term === null) return true;
    const { intents: wishes, releases } = this.#deps;
    const { view, membership } = this.#desired;
    const places = [
      view?.services ?? [],
      membership.keys(),
      this.#publication.published.keys(),
      this.#intents?.keys() ?? [],
      this.#releases.services(),
    ];
    const services = places.flatMap((names) => [...names]).filter((name) => checkName('service', name).ok);
    if (!(await hasCaughtUp(services, (service) => this.#intents?.get(service), wishes))) return false;
    if (!(await hasCaughtUp(services, (service) => this.#releases.current(service), releases))) return false;
    if (!(await hasCaughtUp(['freeze'], () => this.#freeze.stored, this.#deps.freezes))) return false;
    if (this.#publication.takenOver !== term) return false;
    this.#publication.caughtUp();
    return true;
  }

  async #audit(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    if (this.#publication.state !== 'sealed' || now < this.#auditAt) return;
    const clean = await this.#publication.audit();
    if (clean) this.#audits.succeeded();
    else this.#audits.failed();
    this.#auditAt = clean ? now + AUDIT_MS.usual : this.#audits.retryAt;
  }

  /** Time to hear everybody before anything is judged by the clock: after a start, and after each new epoch. */
  #learn(): void {
    const epoch = this.#publication.term?.epoch ?? null;
    if (epoch !== this.#learning.epoch) this.#learning = { epoch, until: this.#learnUntil() };
    if (epoch === null || this.#publication.state !== 'sealed') return;
    const isHigher = this.#highestHeard() > epoch;
    const quietSince = this.#deps.clock.monotonic() - OUTBID_MS.most;
    if (!isHigher && this.#outbid.retryAt < quietSince) this.#outbid.succeeded();
    if (!isHigher || !this.#outbid.over) return;
    // An honest gateway follows the next epoch. One that claims a still higher one every time must not cause a storm of them.
    this.#outbid.failed();
    this.#publication.doubt('a gateway follows a higher epoch');
  }

  /** What no honest epoch reaches does not count: the number would never come down again. */
  #highestHeard(): number {
    const seconds = Math.floor(this.#deps.clock.wall() / 1_000);
    const own = this.#publication.term?.epoch ?? 0;
    return this.#fleet.highestEpoch(Math.max(own, seconds) + FAR_FUTURE_S);
  }

  #learnUntil(): number {
    return this.#deps.clock.monotonic() + Math.max(this.#deps.settings.gatewaySilentMs, VERIFIED_MS);
  }

  /** Why nothing can be proven now, or null. */
  #unready(now: number): string | null {
    const { state, verifiedAt } = this.#publication;
    if (state === 'fenced') return 'this controller is out of office; ask the one that is in office';
    if (!this.#fleet.complete) return 'the roster and the heartbeats of the gateways have not been read yet';
    const turnedAway = this.#fleet.turnedAway;
    if (turnedAway > 0)
      return `Redis holds more heartbeats of gateways than are read (${String(turnedAway)} more); forget the gateways that do not exist, and give each gateway its own Redis user`;
    if (now - verifiedAt > Math.max(this.#deps.settings.gatewaySilentMs, VERIFIED_MS))
      return 'Redis has not confirmed lately that what was published still stands';
    return null;
  }

  protected override world(): World {
    const { clock, settings } = this.#deps;
    const now = clock.monotonic();
    return {
      wall: clock.wall(),
      due: this.#clock.due(),
      epoch: this.#publication.term?.epoch ?? null,
      membership: this.#desired.membership,
      intents: this.#intents ?? new Map(),
      compiled: this.#compiled,
      published: this.#publication.published,
      unsettled: this.#publication.unsettled,
      damaged: this.#deps.intents.damaged(),
      protections: this.#desired.protections,
      problems: this.#desired.view?.problems ?? [],
      found: [...damagedRecords(this.#deps), ...this.#clock.problem()],
      problems_since: this.#problems.since,
      clashes: this.#desired.clashes,
      recent: this.#desired.recent,
      history: this.#history,
      frozen: this.#freeze.present,
      witnesses: {
        ...this.#fleet.witnesses(now),
        silent_ms: settings.gatewaySilentMs,
        unready: this.#unready(now),
        learning: now < this.#learning.until,
      },
    };
  }

  #notify(): void {
    const watchers = this.#watchers;
    this.#watchers = new Set();
    for (const watcher of watchers) watcher();
  }

  /** Resolves once a pass that begins from now on has ended, or after `ms`. */
  async #passed(ms: number): Promise<void> {
    const target = this.#passesBegun + 1;
    this.#scheduler.urge();
    await this.#until(ms, () => this.#passesEnded >= target);
  }

  /** Resolves once `done` after a change, after `ms`, or when this controller closes. */
  async #until(ms: number, done: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(Math.ceil(ms));
    while (!done() && !deadline.aborted && !this.#stop.signal.aborted) await this.changed(deadline);
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end);
        this.#watchers.delete(end);
        resolve();
      };
      if (signal.aborted || this.#stop.signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener('abort', end, { once: true });
      this.#watchers.add(end);
    });
  }

  async mutate(mutation: Mutation, context: MutationContext): Promise<Result<MutationResource, Problem>> {
    const release = mutation.kind === 'set_versions' ? this.#releases.steering(mutation.service) : null;
    if (release !== null) return err(steeredBy(release));
    const desk: MutationDesk = {
      deps: this.#deps,
      term: () => this.#publication.term,
      fenced: () => this.#publication.state === 'fenced',
      refused: (term) => this.#publication.refused(term),
      queue: this.#queue,
      known: () => this.hasView(),
      world: () => this.world(),
      traffic: () => this.#releases.traffic(),
      hold: () => this.#loss.reason,
      pause: (ms) => this.#until(ms, () => false),
      moved: (service, etag) =>
        this.#until(1_000, () => (this.#intents?.get(service)?.etag ?? null) !== etag),
      settled: () => this.#passed(1_500),
      stands: (service) => this.#setStands(service),
    };
    switch (mutation.kind) {
      case 'forget_gateway':
      case 'leave_gateway':
        return mutateGateway(desk, mutation, context);
      case 'join_gateway':
        return joinGateway(desk, mutation, context);
      case 'forget_gateways':
        return forgetGateways(desk, mutation, context);
      case 'freeze_all':
      case 'unfreeze_all':
        return this.#freeze.mutate(desk, mutation, context);
      case 'accept_data_loss':
        return desk.fenced() ? err(NOT_LEADER) : this.#loss.accept(mutation, context);
      default:
        return mutateServices(desk, mutation, context);
    }
  }

  /** True if what the last pass compiled for the present release stands; of that pass, so that 100 releases cost nothing more. */
  #releaseStands(service: string): boolean {
    const { documents, traffic } = this.#wanted;
    const wanted = documents.get(service);
    const present = traffic.get(service) === this.#releases.traffic().get(service);
    return wanted !== undefined && present && this.#publication.stands(service, wanted.hash);
  }

  #setStands(service: string): boolean {
    const intents = this.#intents;
    if (!intents) return false;
    const traffic = this.#releases.traffic();
    const { documents } = this.#desired.compile(intents, this.#clock.due(), this.#withheld, traffic);
    const wanted = documents.get(service);
    return wanted !== undefined && this.#publication.stands(service, wanted.hash);
  }

  override events(service: string): readonly ServiceEvent[] | undefined {
    return describeEvents(this.world(), service, this.#releases.eventsOf(service));
  }
  override intents(): readonly IntentResource[] {
    return [...describeIntents(this.world()), ...this.#releases.intents()];
  }

  /** The releases, as the API sees them. */
  get releases(): ReleasePlane {
    return this.#releases;
  }

  #createReleases(): Releases {
    const deps = this.#deps;
    return new Releases({
      ...deps,
      store: deps.releases,
      reader: deps.traffic,
      newId: deps.newReleaseId,
      world: () => this.world(),
      refusal: (dryRun) => {
        const fenced = this.#publication.state === 'fenced';
        const desk = {
          fenced: () => fenced,
          hold: () => this.#loss.reason,
          known: () => this.hasView(),
          term: () => this.#publication.term,
        };
        return officeRefusal(desk, dryRun);
      },
      term: () => (this.#publication.state === 'fenced' ? null : this.#publication.term),
      refused: (term) => this.#publication.refused(term),
      queue: this.#queue,
      stands: (service) => this.#releaseStands(service),
      wake: () => {
        this.#scheduler.wake();
      },
      settled: () => this.#passed(1_500),
      pause: (ms) => this.#until(ms, () => false),
    });
  }

  hasView(): boolean {
    return this.#seenWhole;
  }
  /** A monotonic moment by the wall clock of now. */
  #wallOf(moment: number | null): number | null {
    const { clock } = this.#deps;
    return moment === null ? null : Math.round(clock.wall() - (clock.monotonic() - moment));
  }
  readiness(): ReadinessResource {
    const { publisher, feedback, zookeeper } = this.#deps;
    return readinessOf({
      clock: this.#clock.state(),
      publication: this.#publication,
      hasView: this.hasView(),
      dataLoss: this.#loss.reason,
      registryTrouble: this.#desired.trouble ?? storeTrouble(this.#deps),
      registrySince: this.#wallOf(this.#desired.troubleSince),
      zookeeper: zookeeper(),
      refusals: {
        zookeeper: this.#writability.refusal('zookeeper'),
        redis: this.#writability.refusal('redis'),
      },
      publisher: publisher.state(),
      feedback: feedback.state(),
    });
  }
}

function steeredBy(release: string): Problem {
  const detail = `Release ${release} steers the shares. Move it, or abort it, instead of setting them by hand.`;
  return { code: 'conflict', field: 'body', detail };
}

/** A znode that a person made under the wishes may have any name; one that is no service's steers nothing. */
function ofServices<T>(named: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const bad = [...named.keys()].filter((name) => !checkName('service', name).ok);
  if (bad.length === 0) return named;
  return new Map([...named].filter(([name]) => !bad.includes(name)));
}
