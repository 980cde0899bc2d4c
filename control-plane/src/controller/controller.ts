import type { ControlPlane } from '../model/control_plane.js';
import type { Lifecycle } from '../model/ports.js';
import { findProblems } from '../plan/find_problems.js';
import { NOTHING_REPORTED, observeHealth } from '../plan/health_events.js';
import { Lifecycles } from './lifecycles.js';
import { createPlane } from './plane.js';
import { buildRooms, type ControllerDeps, type Rooms } from './rooms.js';

/** Silence is noticed within this, whatever else happens. */
const TICK_MS = 500;
/** How soon a controller that took leadership over looks again whether it knows the last changes. */
const CATCH_UP_MS = 50;

/**
 * The shell around the plan. Sources push their newest state into `inputs`; one loop recomputes everything from full state,
 * publishes what differs, and records what has ended. A notification that was lost costs latency, never correctness.
 */
export class Controller implements Lifecycle {
  /** What the API asks. */
  readonly plane: ControlPlane;
  readonly #rooms: Rooms;
  readonly #parts: Lifecycles;
  readonly #stop = new AbortController();
  #loop: Promise<void> | null = null;
  #closing: Promise<void> | undefined;
  #reportedHealth = NOTHING_REPORTED;

  constructor(deps: ControllerDeps) {
    const rooms = (this.#rooms = buildRooms(deps));
    this.plane = createPlane(rooms);
    this.#parts = new Lifecycles([
      ...rooms.inputs.sources,
      rooms.releases,
      rooms.copies,
      deps.consumers,
      rooms.writability,
      rooms.namesakes,
      rooms.clock,
      rooms.standstill,
      // Last, so that it is the first to go: another controller leads before this one has ended.
      deps.election,
    ]);
  }

  async start(): Promise<void> {
    const { inputs, desired, publication } = this.#rooms;
    inputs.subscribe({
      registry: desired,
      doubt: (reason) => {
        publication.reconnected(reason);
      },
    });
    this.#rooms.deps.election.onChange(() => {
      this.#rooms.passes.urge();
    });
    await this.#parts.start();
    this.#loop = this.#run(this.#stop.signal);
  }

  /** The loop ends first: what it uses closes after it. */
  close(): Promise<void> {
    return (this.#closing ??= (async () => {
      this.#stop.abort();
      this.#rooms.passes.close();
      await this.#loop;
      await this.#parts.close();
    })());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { scheduler, passes, deps } = this.#rooms;
    while (await scheduler.next(signal)) {
      passes.begin();
      try {
        await this.#pass();
      } catch (error) {
        // A bug in one pass must not end the loop: the next pass starts from full state again.
        deps.log.error({ error: String(error), stack: (error as Error).stack }, 'a pass failed');
      }
      this.#setAlarms();
      passes.end();
    }
  }

  /** One pass: everything from full state, in the way of the data. */
  async #pass(): Promise<void> {
    const { inputs, standstill, leadership, loss, publication, following, handover, epochs } = this.#rooms;
    const { desired, catchUp, copies, compilation } = this.#rooms;
    const { authority, housekeeping, releases, problems, verification, pruning, forgetting, clock, world } =
      this.#rooms;

    // May anything be published?
    standstill.look();
    leadership.look();
    await handover.look();
    loss.tendHistories();
    const isLost = loss.seen !== null;
    if (leadership.state === 'standby') await following.look(inputs.fleet.newestApplied());
    else if (publication.isOpen) following.reset();
    if (isLost) await publication.look();
    const isOpen = !isLost && (await publication.prepare());
    epochs.look();
    if (!desired.view) {
      this.#noteHolds();
      return;
    }
    const mayPublish = isOpen && leadership.mayWrite && (await catchUp.isDone());

    // From here to the first publish nothing waits: a change that comes later finds what is under way marked as unsure.
    const documents = compilation.run();
    this.#noteHolds();
    if (!documents) return;
    inputs.noteSeenWhole();
    if (mayPublish) await publication.publishAll(documents);
    if (mayPublish) copies.look();

    // What else a pass does, by the world as it is then.
    const { term } = authority;
    this.#reportHealth();
    await housekeeping.run(world(), term, inputs.fleet.complete);
    await releases.run(world(), clock.isKnown ? term : null);
    await forgetting.run(world(), term);
    problems.take(findProblems(world()), clock.wall());
    await pruning.run(world());
    await verification.run();
  }

  #noteHolds(): void {
    const { holds, desired, inputs, loss, clock } = this.#rooms;
    const { membership } = desired;
    const [now, wall, due] = [clock.monotonic(), clock.wall(), clock.due()];
    const intents = inputs.intents ?? new Map<string, never>();
    holds.take({ holds: desired.holds, intents, membership, loss: loss.reason, now, wall, due });
  }

  /** Gateways' findings become events of the service, once for each change. */
  #reportHealth(): void {
    const { world, clock, desired } = this.#rooms;
    const { reported, events } = observeHealth(this.#reportedHealth, world());
    this.#reportedHealth = reported;
    const at = new Date(clock.wall()).toISOString();
    for (const { service, ...event } of events) desired.report(service, { at, by: 'gateways', ...event });
  }

  /** Whatever happened in a pass, another one follows. */
  #setAlarms(): void {
    const { deps, scheduler, clock, desired, leadership, publication, loss, releases } = this.#rooms;
    const { state, retryAt } = publication;
    scheduler.wakeAt(clock.monotonic() + Math.min(TICK_MS, deps.settings.gatewaySilentMs / 3));
    scheduler.wakeAt(desired.wakeAt);
    scheduler.wakeAt(retryAt);
    scheduler.wakeAt(releases.wakeAt);
    const isBehind = state === 'unread' || state === 'read' || leadership.takenOver !== null;
    if (isBehind && leadership.state !== 'standby' && loss.seen === null && retryAt === Infinity)
      scheduler.wakeAt(clock.monotonic() + CATCH_UP_MS);
  }
}
