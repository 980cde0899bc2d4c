import type { ServiceEvent } from '../../model/intent.js';
import type { Lifecycle, Term } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { ReleaseEvent, ReleaseRecord, StoredRelease, Verb } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type {
  ReleaseContext,
  ReleaseOutcome,
  ReleasePlane,
  ReleaseRequest,
} from '../../model/release_plane.js';
import type { HashedPlan, ReleaseResource } from '../../model/release_resources.js';
import type { IntentResource } from '../../model/resources.js';
import type { Result } from '../../model/result.js';
import { advance, LOOK_GAP_MS } from '../../plan/release/advance.js';
import { observeRelease } from '../../plan/release/observe.js';
import { describeAsIntent, eventsOfPeople } from '../../plan/release/service_record.js';
import type { World } from '../../plan/world.js';
import { beginRelease, moveRelease, type CommandDeps } from './commands.js';
import { Counters } from './counters.js';
import type { ReleaseDeps } from './deps.js';
import { Looks } from './looks.js';
import { OuterGates } from './outer_gates.js';
import { ReleaseReads } from './reads.js';
import { UpgradeCalls } from './upgrade_calls.js';
import { ReleaseWrites } from './writes.js';

export type { ReleaseDeps } from './deps.js';

/**
 * The shell around the pure transition function, and the door of this room. A pass looks at the facts of every running release and writes what
 * moved; sets are compiled from what is written and from nothing else.
 */
export class Releases implements ReleasePlane, Lifecycle {
  readonly #deps: ReleaseDeps;
  /** This run of the controller. */
  readonly #watcher: string;
  readonly #counters: Counters;
  readonly #gates: OuterGates;
  readonly #calls: UpgradeCalls;
  readonly #writes: ReleaseWrites;
  readonly #looks = new Looks();
  readonly #reads: ReleaseReads;
  readonly #commands: CommandDeps;

  constructor(deps: ReleaseDeps) {
    this.#deps = deps;
    this.#watcher = deps.newId();
    this.#counters = new Counters(deps);
    this.#gates = new OuterGates(deps);
    this.#calls = new UpgradeCalls(deps);
    this.#writes = new ReleaseWrites(deps);
    const { inputs, world } = deps;
    const facts = (now: World, record: ReleaseRecord): ReleaseFacts => this.#facts(now, record);
    const looks = this.#looks;
    this.#reads = new ReleaseReads({ inputs, world, facts, looks, writes: this.#writes, calls: this.#calls });
    this.#commands = { ...deps, facts, looks, reads: this.#reads };
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
    await this.#counters.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Looks at every running release once; a standby only reads counters. */
  async run(world: World, term: Term | null): Promise<void> {
    const { running } = this.#deps.inputs;
    this.#counters.read(running.map(({ record }) => record));
    const services = new Set(running.map(({ service }) => service));
    this.#looks.retain(services);
    this.#writes.retain(services);
    if (!term) return;
    for (const stored of running) await this.#look(world, term, stored);
    const damaged = this.#deps.store.damaged();
    this.#gates.ask(running.map(({ record }) => record).filter(({ service }) => !damaged.has(service)));
    this.#calls.run(this.#deps.inputs.running.map(({ record }) => record));
  }

  /** The monotonic moment from which on a call is to be made again; Infinity if none is. */
  get wakeAt(): number {
    return this.#calls.retryAt;
  }

  async #look(world: World, term: Term, stored: StoredRelease): Promise<void> {
    const { service, record } = stored;
    const damage = this.#deps.store.damaged().get(service);
    if (damage !== undefined) {
      const problem = `its record in ZooKeeper cannot be read: ${damage}`;
      this.#looks.keep(stored, { record, waiting_for: [], problem });
      return;
    }
    try {
      const present = this.#looks.present(stored);
      const result = advance(present, this.#facts(world, record), world.wall);
      // A move counts for nothing until it is written; `rev` does not show every one that must be.
      const { waiting_for } = result;
      this.#looks.keep(stored, {
        record: result.moved ? present : result.record,
        waiting_for,
        problem: null,
      });
      if (!this.#writes.mayWrite(service)) return;
      if (result.write_shares) await this.#writes.writeShares(world, term, record, result.write_shares);
      // Both ways: a clock may be set back, or be that of another machine.
      const behind = Math.abs(result.record.looked_at - record.looked_at) >= LOOK_GAP_MS;
      if (result.moved || behind) await this.#writes.persist(term, stored, result.record);
    } catch (error) {
      // A record that contradicts itself does not move; the other releases go on.
      const problem = error instanceof Error ? error.message : String(error);
      if (this.#looks.of(service)?.problem !== problem)
        this.#deps.log.error({ service, release: record.id, problem }, 'release does not move');
      this.#looks.keep(stored, { record, waiting_for: [], problem });
    }
  }

  #facts(world: World, record: ReleaseRecord): ReleaseFacts {
    const { inputs, compilation, truthLink } = this.#deps;
    const { service, id } = record;
    return observeRelease(world, record, {
      watcher: this.#watcher,
      in_force: inputs.traffic.get(service)?.release === id && compilation.isInForce(service),
      zookeeper: truthLink().state,
      ...this.#counters.of(record, world.wall),
      answers: this.#gates.answers(),
      call: this.#calls.outcomeOf(record),
    });
  }

  /** What people did to the releases of `service`, as events of the service. */
  eventsOf(service: string): readonly ServiceEvent[] {
    const { current = null, history = [] } = this.#deps.inputs.releases?.get(service) ?? {};
    return [...history, ...(current ? [current.record] : [])].flatMap(eventsOfPeople);
  }

  /** The running releases, as intents of people. */
  intents(): readonly IntentResource[] {
    return this.#deps.inputs.running.map(({ record }) => describeAsIntent(record));
  }

  /* ---- what the API asks: see ReleasePlane ---- */

  running(): readonly ReleaseResource[] {
    return this.#reads.running();
  }
  ofService(service: string): readonly ReleaseResource[] | undefined {
    return this.#reads.ofService(service);
  }
  byId(id: string): ReleaseResource | undefined {
    return this.#reads.byId(id);
  }
  plan(id: string): HashedPlan | undefined {
    return this.#reads.plan(id);
  }
  events(id: string): readonly ReleaseEvent[] | undefined {
    return this.#reads.events(id);
  }
  begin(request: ReleaseRequest, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    return beginRelease(this.#commands, request, context);
  }
  move(id: string, verb: Verb, context: ReleaseContext): Promise<Result<ReleaseOutcome, Problem>> {
    return moveRelease(this.#commands, id, verb, context);
  }
}
