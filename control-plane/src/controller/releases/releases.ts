import type { Hooks } from '../../model/hooks.js';
import type { Clock, Lifecycle, LinkState, Term, WriteFailure } from '../../model/ports.js';
import type { ServiceEvent } from '../../model/intent.js';
import type { IntentResource } from '../../model/resources.js';
import type { Problem } from '../../model/problem.js';
import type { Prometheus } from '../../model/prometheus.js';
import type {
  ReleaseEvent,
  ReleaseRecord,
  ServiceReleases,
  Shares,
  StoredRelease,
  Verb,
} from '../../model/release.js';
import type {
  ReleaseContext,
  ReleaseOutcome,
  ReleasePlane,
  ReleaseRequest,
} from '../../model/release_plane.js';
import type { ReleaseEdit, ReleaseStore, TrafficReader } from '../../model/release_ports.js';
import type { HashedPlan, ReleaseResource } from '../../model/release_resources.js';
import { err, ok, type Result } from '../../model/result.js';
import { advance, LOOK_GAP_MS } from '../../plan/release/advance.js';
import { wantedHooks } from '../../plan/release/asks.js';
import { guardStart } from '../../plan/release/guards.js';
import { describePlan, describeRelease } from '../../plan/release/describe.js';
import { tellPauses } from '../../plan/release/pauses.js';
import { describeAsIntent, eventsOfPeople, sharesOfRelease } from '../../plan/release/service_record.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { RECENT_MS } from '../../plan/release/facts.js';
import { planHash } from '../../plan/release/plan_hash.js';
import { observeRelease, readyVersions } from '../../plan/release/observe.js';
import { startRelease } from '../../plan/release/start.js';
import { guarded, obey } from '../../plan/release/verbs.js';
import { isKnown, recordIn, type World } from '../../plan/world.js';
import { Backoff } from '../backoff.js';
import { begunBy, checkPrecondition, editOf, refuseStart, requestOf } from './release_edits.js';
import { ReleaseEffects } from './release_effects.js';
import { refuseGates, ReleaseGates } from './release_gates.js';
import { TrafficLog } from './traffic_log.js';
import type { CommandContext } from '../commands/context.js';
import { perform } from '../commands/perform.js';

/** What releases need besides what every command works with. */
export interface ReleaseDeps extends CommandContext {
  readonly clock: Clock;
  readonly store: ReleaseStore;
  readonly reader: TrafficReader;
  readonly hooks: Hooks;
  readonly prometheus: Prometheus;
  /** A fresh release id. */
  readonly newId: () => string;
  readonly zookeeper: () => LinkState;
  /** Another pass, soon. */
  readonly wake: () => void;
}

/** How often counters are read while a release runs. */
const READ_MS = 1_000;
/**
 * Counters arrive so late: a worker adds up once a second, its gateway tells every two seconds at the least, and is asked once a
 * second. What comes in before a release is so old may be of requests that came before it.
 */
const LATE_MS = 4_000;

/** A release as this controller has looked at it: what only counts is ahead of what is written. */
interface Looked {
  readonly etag: string;
  readonly record: ReleaseRecord;
  readonly waiting_for: readonly string[];
  readonly problem: string | null;
}

/** What a client's call comes to before it is written. */
interface Decided {
  readonly record: ReleaseRecord;
  /** False if it was so already, also where its key is written down. */
  readonly changed: boolean;
  readonly edit: ReleaseEdit | null;
  /** What would refuse it without force. */
  readonly guards?: readonly string[];
  /** What it does to the pauses of others. */
  readonly told?: readonly string[];
}

/** Writes of one service's releases that failed, until one succeeds. */
interface Trouble {
  readonly backoff: Backoff;
  readonly reason: string;
}

/**
 * The shell around the pure transition function. A pass looks at the facts of every running release and writes what moved;
 * sets are compiled from what is written and from nothing else.
 */
export class Releases implements ReleasePlane, Lifecycle {
  readonly #deps: ReleaseDeps;
  #log = new TrafficLog();
  readonly #gates: ReleaseGates;
  readonly #watcher: string;
  readonly #effects: ReleaseEffects;
  readonly #writing = new Map<string, Trouble>();
  #looked = new Map<string, Looked>();
  /** Release → the monotonic moments since which it is looked at here, and from which on its counters are its own. */
  #seen = new Map<string, { readonly since: number; readonly from: number }>();
  #readAt = -Infinity;
  #reading: Promise<void> | null = null;

  constructor(deps: ReleaseDeps) {
    this.#deps = deps;
    this.#watcher = deps.newId();
    this.#gates = new ReleaseGates(deps);
    this.#effects = new ReleaseEffects(deps);
  }

  async start(): Promise<void> {
    const { reader, hooks, prometheus } = this.#deps;
    for (const part of [reader, hooks, prometheus]) await part.start();
  }

  async close(): Promise<void> {
    const { reader, hooks, prometheus } = this.#deps;
    this.#gates.stop();
    for (const part of [hooks, prometheus, reader]) await part.close();
    await this.#gates.close();
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What people did to the releases of `service`, as events of the service. */
  eventsOf(service: string): readonly ServiceEvent[] {
    const { current = null, history = [] } = this.#deps.inputs.releases?.get(service) ?? {};
    return [...history, ...(current ? [current.record] : [])].flatMap(eventsOfPeople);
  }

  /** The running releases, as something that people decided. */
  intents(): readonly IntentResource[] {
    return this.#deps.inputs.running.map(({ record }) => describeAsIntent(record));
  }

  /** Looks at every running release once. */
  async run(world: World, term: Term | null): Promise<void> {
    const running = this.#deps.inputs.running;
    this.#readCounters(new Set(running.map(({ service }) => service)));
    const services = new Set(running.map(({ service }) => service));
    for (const service of this.#looked.keys()) if (!services.has(service)) this.#looked.delete(service);
    for (const service of this.#writing.keys()) if (!services.has(service)) this.#writing.delete(service);
    for (const id of this.#seen.keys())
      if (!running.some(({ record }) => record.id === id)) this.#seen.delete(id);
    if (!term) return;
    for (const stored of running) await this.#look(world, term, stored);
    const damaged = this.#deps.store.damaged();
    this.#gates.ask(running.map(({ record }) => record).filter(({ service }) => !damaged.has(service)));
    this.#effects.run(this.#deps.inputs.running.map(({ record }) => record));
  }

  /** The monotonic moment from which on a call is to be made again; Infinity if none is. */
  get wakeAt(): number {
    return this.#effects.retryAt;
  }

  async #look(world: World, term: Term, stored: StoredRelease): Promise<void> {
    const { service } = stored;
    const damage = this.#deps.store.damaged().get(service);
    if (damage !== undefined) {
      this.#keep(stored, stored.record, [], `its record in ZooKeeper cannot be read: ${damage}`);
      return;
    }
    try {
      const present = this.#present(stored);
      const result = advance(present, this.#facts(world, stored.record), world.wall);
      // A move counts for nothing until it is written; not every one that must be is told by `rev`.
      this.#keep(stored, result.moved ? present : result.record, result.waiting_for, null);
      if (!this.#mayWrite(service)) return;
      if (result.decide) await this.#decide(world, term, service, stored.record, result.decide);
      // Both ways: a clock may be set back, or be that of another machine.
      const behind = Math.abs(result.record.looked_at - stored.record.looked_at) >= LOOK_GAP_MS;
      if (result.moved || behind) await this.#persist(term, stored, result.record);
    } catch (error) {
      // A record that contradicts itself stands still; the other releases go on.
      const problem = error instanceof Error ? error.message : String(error);
      if (this.#looked.get(service)?.problem !== problem)
        this.#deps.log.error({ service, release: stored.record.id, problem }, 'release stands still');
      this.#keep(stored, stored.record, [], problem);
    }
  }

  #keep(
    stored: StoredRelease,
    record: ReleaseRecord,
    waiting_for: readonly string[],
    problem: string | null,
  ): void {
    this.#looked.set(stored.service, { etag: stored.etag, record, waiting_for, problem });
  }

  /** The record with what was counted since it was written; a move that is not written counts for nothing. */
  #present(stored: StoredRelease): ReleaseRecord {
    const looked = this.#looked.get(stored.service);
    const same = looked?.etag === stored.etag && looked.record.rev === stored.record.rev;
    return same ? looked.record : stored.record;
  }

  #facts(world: World, record: ReleaseRecord): ReleaseFacts {
    const { service, id } = record;
    const now = this.#deps.clock.monotonic();
    const { since, from } = this.#seen.get(id) ?? { since: now, from: now };
    // Of a target that was counted before the release began, what still comes in may be of then. By both clocks, so that one
    // that is wrong holds nothing up.
    const young = Math.max(now - since, world.wall - Date.parse(record.at)) < LATE_MS;
    const late = young && this.#log.hasCountedBefore(service, record.target);
    const first = late ? now : from;
    this.#seen.set(id, { since, from: first });
    return observeRelease(world, record, {
      watcher: this.#watcher,
      stands:
        this.#deps.inputs.traffic.get(service)?.release === id && this.#deps.compilation.isInForce(service),
      zookeeper: this.#deps.zookeeper().state,
      totals: late ? null : this.#log.totals(service),
      answers: this.#gates.answers(),
      recent: this.#log.recent(service, Math.max(first, now - RECENT_MS)),
      call: this.#effects.outcomeOf(record),
    });
  }

  /** Writes the shares into the service's own record, so that they outlive the release. */
  async #decide(
    world: World,
    term: Term,
    service: string,
    release: ReleaseRecord,
    shares: Shares,
  ): Promise<void> {
    const stored = world.intents.get(service);
    // The version that is left serves again while nobody of the new one can; one that was judged bad does not.
    const fallback =
      release.state === 'finalizing' && release.stable !== release.target ? release.stable : null;
    const record = sharesOfRelease(recordIn(world, service), release, { shares, fallback }, world.wall);
    const written = await this.#deps.intents.write(term, [{ service, etag: stored?.etag ?? null, record }]);
    await this.#note(term, service, written.ok ? null : written.error);
  }

  async #persist(term: Term, stored: StoredRelease, record: ReleaseRecord): Promise<void> {
    const written = await this.#deps.store.write(term, [editOf(stored, record)]);
    await this.#note(term, stored.service, written.ok ? null : written.error);
    if (!written.ok || record.rev === stored.record.rev) return;
    const { id, service, state, phase, step, message } = record;
    this.#deps.log.info({ service, release: id, state, phase, step }, message);
    this.#deps.wake();
  }

  #mayWrite(service: string): boolean {
    return this.#writing.get(service)?.backoff.over ?? true;
  }

  async #note(term: Term, service: string, failure: WriteFailure | null): Promise<void> {
    if (failure === null) {
      this.#writing.delete(service);
      this.#deps.wake();
      return;
    }
    if (failure.kind === 'fenced') {
      await this.#deps.authority.refused(term);
      this.#deps.wake();
      return;
    }
    const backoff = this.#writing.get(service)?.backoff ?? new Backoff(this.#deps.clock);
    const reason = failure.kind === 'unavailable' ? failure.reason : failure.kind;
    this.#writing.set(service, { backoff, reason });
    if (backoff.failed()) this.#deps.log.warn({ service, reason }, 'release not written; will try again');
  }

  /** Reads the gateways' counters once a second, beside the passes. */
  #readCounters(services: ReadonlySet<string>): void {
    const { clock, reader } = this.#deps;
    if (services.size === 0) {
      // A reading that is still under way ends in the log that it began for: what it tells is of releases that are over.
      this.#log = new TrafficLog();
      return;
    }
    if (this.#reading || clock.monotonic() - this.#readAt < READ_MS) return;
    this.#readAt = clock.monotonic();
    const log = this.#log;
    this.#reading = reader
      .read([...this.#deps.world().witnesses.fleet.heard.keys()])
      .then((read) => {
        if (!read.ok) return;
        log.take(read.value, services, clock.monotonic());
        this.#deps.wake();
      })
      .finally(() => {
        this.#reading = null;
      });
  }

  /* ---- what the API asks ---- */

  running(): readonly ReleaseResource[] {
    return this.#deps.inputs.running
      .map((stored) => this.#describe(stored))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  ofService(service: string): readonly ReleaseResource[] | undefined {
    const world = this.#deps.world();
    const known = this.#deps.inputs.releases?.get(service);
    if (!known && !isKnown(world, service)) return undefined;
    const history = (known?.history ?? []).toReversed();
    const ended = history.map((record) => describeRelease(world, record, []));
    return known?.current ? [this.#describe(known.current), ...ended] : ended;
  }

  byId(id: string): ReleaseResource | undefined {
    const found = this.#find(id);
    if (!found) return undefined;
    return found.stored
      ? this.#describe(found.stored)
      : describeRelease(this.#deps.world(), found.record, []);
  }

  plan(id: string): HashedPlan | undefined {
    const record = this.#find(id)?.record;
    return record && this.#planOf(this.#deps.world(), record);
  }

  events(id: string): readonly ReleaseEvent[] | undefined {
    return this.#find(id)?.record.events;
  }

  #describe(stored: StoredRelease): ReleaseResource {
    const looked = this.#looked.get(stored.service);
    const fresh = looked?.etag === stored.etag;
    const trouble = this.#effects.troubleOf(stored.record);
    const told =
      trouble === '' ? [] : [`the upgrade was called without an answer, and is called again: ${trouble}`];
    // Between a move and the next look there is nothing to tell; where only counts were written, what was told before holds.
    const known = looked?.record.id === stored.record.id ? looked : null;
    const same = fresh || known?.record.rev === stored.record.rev;
    const waiting = !known ? ['being looked at'] : same ? [...known.waiting_for, ...told] : [];
    const unwritten = this.#writing.get(stored.service)?.reason;
    const problem =
      looked?.problem ?? (unwritten === undefined ? null : `its next move is not written yet: ${unwritten}`);
    return describeRelease(this.#deps.world(), this.#present(stored), waiting, problem);
  }

  #find(id: string): { readonly record: ReleaseRecord; readonly stored: StoredRelease | null } | undefined {
    for (const { current, history } of this.#deps.inputs.releases?.values() ?? []) {
      if (current?.record.id === id) return { record: this.#present(current), stored: current };
      const ended = history.find((one) => one.id === id);
      if (ended) return { record: ended, stored: null };
    }
    return undefined;
  }

  /** Starts a release, or says with `dry_run` what it would be. */
  async begin(request: ReleaseRequest, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    const { service } = request;
    const newId = this.#deps.newId();
    return this.#change('start_release', service, context, (world, releases) => {
      if (!isKnown(world, service))
        return err({ code: 'not_found', field: 'service', detail: `there is no service ${service}` });
      const unreachable = refuseGates(request.gates, this.#deps);
      if (unreachable) return err(unreachable);
      const text = requestOf(request);
      const repeated = begunBy(releases, context.idempotency_key, text);
      if (!repeated.ok) return repeated;
      if (repeated.value) return ok({ record: repeated.value, changed: false, edit: null });
      const started = startRelease(request, {
        releases,
        decided: recordIn(world, service).versions,
        ready: readyVersions(world, service),
        drain_timeout_ms: this.#deps.settings.drainTimeoutMs,
        newId,
        by: context.by,
        reason: context.reason,
        now: world.wall,
      });
      if (!started.ok) return started;
      const { record: planned } = started.value;
      const inForce = releases.current?.record.shares ?? null;
      const guards = guardStart(planned, this.#facts(world, planned), inForce);
      const refused =
        this.#forbidden(planned) ??
        refuseStart(request, planned, world) ??
        (guards.length > 0 && !context.force ? guarded(guards) : null);
      // A dry run is refused as the start would be: what only holds a step up stands in its plan.
      if (refused) return err(refused);
      const { idempotency_key: key } = context;
      const verbs = key === null ? [] : [{ key, request: text }];
      const record = { ...started.value.record, verbs };
      const etag = releases.current?.etag ?? null;
      const edit = { service, etag, current: record, archive: started.value.superseded };
      return ok({ record, changed: true, edit, guards });
    });
  }

  /** Tells a running release a verb. */
  async move(id: string, verb: Verb, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    const service = this.#find(id)?.record.service;
    if (service === undefined) return err({ code: 'not_found', detail: `there is no release ${id}` });
    return this.#change(`${verb.verb}_release`, service, context, (world, releases) => {
      const current = releases.current?.record.id === id ? releases.current : null;
      const record = current ? this.#present(current) : releases.history.find((one) => one.id === id);
      if (!record) return err({ code: 'not_found', detail: `there is no release ${id}` });
      const obeyed = obey(record, verb, context, this.#facts(world, record), world.wall);
      if (!obeyed.ok) return obeyed;
      const { record: next, changed } = obeyed.value;
      const edit = current && next !== record ? editOf(current, next) : null;
      return ok({ record: next, changed, edit, told: tellPauses(record, next) });
    });
  }

  async #change(
    kind: string,
    service: string,
    context: ReleaseContext,
    decide: (world: World, releases: ServiceReleases) => Result<Decided, Problem>,
  ): Promise<Result<ReleaseOutcome, Problem>> {
    const done = await perform(this.#deps, context, {
      kind,
      queue: `@release ${service}`,
      decide: () => this.#decideNow(service, context, decide),
      write: ({ edit }, term) => edit && this.#deps.store.write(term, [edit]),
      about: ({ record }) => ({ service, release: record.id }),
    });
    if (!done.ok) return done;
    const { record, changed, guards = [], told = [] } = done.value;
    return ok({ ...this.#outcome(record, context.dry_run, changed, guards), told });
  }

  #decideNow(
    service: string,
    context: ReleaseContext,
    decide: (world: World, releases: ServiceReleases) => Result<Decided, Problem>,
  ): Result<Decided, Problem> {
    const damage = this.#damage(service);
    if (damage) return err(damage);
    const releases = this.#deps.inputs.releases?.get(service) ?? { current: null, history: [] };
    const decided = decide(this.#deps.world(), releases);
    if (!decided.ok) return decided;
    const { edit, changed } = decided.value;
    const stale = edit && changed ? checkPrecondition(releases, context) : null;
    return stale ? err(stale) : decided;
  }

  /** Why the upgrade that a release asks for may not be called, or null. */
  #forbidden(record: ReleaseRecord): Problem | null {
    const { hooks } = this.#deps;
    for (const hook of wantedHooks(record)) {
      const detail = 'url' in hook ? hooks.forbids(hook.url) : hooks.forbidsCommand(hook.command);
      if (detail !== null) return { code: 'invalid_request', field: hook.field, detail };
    }
    return null;
  }

  #damage(service: string): Problem | null {
    const damage = this.#deps.store.damaged().get(service);
    if (damage === undefined) return null;
    const detail = `The running release of ${service} cannot be read from ZooKeeper (${damage}). Mend or delete that znode first.`;
    return { code: 'conflict', detail };
  }

  #outcome(
    record: ReleaseRecord,
    dry_run: boolean,
    changed: boolean,
    guards: readonly string[],
  ): Omit<ReleaseOutcome, 'told'> {
    const world = this.#deps.world();
    const release = dry_run ? describeRelease(world, record, []) : this.byId(record.id);
    const described = this.#planOf(world, record);
    const forbidden = this.#forbidden(record)?.detail ?? [];
    const plan = { ...described, blockers: [...guards, ...described.blockers].concat(forbidden) };
    return { dry_run, changed, release: release ?? describeRelease(world, record, []), plan };
  }

  #planOf(world: World, record: ReleaseRecord): HashedPlan {
    return { ...describePlan(record, this.#facts(world, record)), hash: planHash(record, world) };
  }
}
