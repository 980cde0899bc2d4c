import type { Heartbeat } from '../../model/gateway.js';
import type { Clock, Feedback } from '../../model/ports.js';
import type { GatewayTraffic, TrafficReader } from '../../model/release_ports.js';
import { checkName } from '../../model/names.js';
import { err, ok, type Result } from '../../model/result.js';
import { MemoryFeedback } from './feedback.js';

/** What cannot be read. */
const DAMAGED = Symbol('damaged');

/**
 * What the gateways say of themselves, in memory: what every controller that hears them shares. It expires, is damaged, forged and
 * out of reach as in Redis, at once and in the order of the calls.
 */
export class MemoryGateways {
  readonly #clock: Pick<Clock, 'monotonic' | 'wall'>;
  readonly #beats = new Map<string, Heartbeat | typeof DAMAGED>();
  readonly #counts = new Map<string, GatewayTraffic | typeof DAMAGED>();
  /** Id → unix second of its last sign of life; whoever may write there may add any name. */
  readonly #listed = new Map<string, number>();
  readonly #feedbacks = new Set<MemoryFeedback>();
  #away: string | null = null;

  constructor(clock: Pick<Clock, 'monotonic' | 'wall'>) {
    this.#clock = clock;
  }

  /** While it is not null, nothing is answered and nothing is done, for this reason. */
  get away(): string | null {
    return this.#away;
  }
  set away(reason: string | null) {
    this.#away = reason;
    this.#changed();
  }

  feedback(): Feedback {
    const feedback: MemoryFeedback = new MemoryFeedback(this, this.#clock, () =>
      this.#feedbacks.delete(feedback),
    );
    this.#feedbacks.add(feedback);
    return feedback;
  }
  traffic(): TrafficReader {
    return new MemoryTraffic(this);
  }

  /** What a gateway does at each beat. */
  beat(heartbeat: Heartbeat): void {
    this.#beats.set(heartbeat.id, heartbeat);
    this.list(heartbeat.id, heartbeat.started);
  }
  /** A gateway writes its counters. */
  count(traffic: GatewayTraffic): void {
    this.#counts.set(traffic.gateway, traffic);
  }
  /** Somebody adds a name to the list. */
  list(id: string, at: number): void {
    this.#listed.set(id, at);
    this.#changed();
  }
  /** Somebody writes nonsense where a gateway's heartbeat and its counters are. */
  damage(id: string): void {
    this.#beats.set(id, DAMAGED);
    this.#counts.set(id, DAMAGED);
    this.#changed();
  }
  /** Nothing is left of a gateway. */
  remove(id: string): void {
    for (const map of [this.#beats, this.#counts, this.#listed]) map.delete(id);
    this.#changed();
  }
  unlist(ids: readonly string[]): void {
    for (const id of ids) this.#listed.delete(id);
  }

  /** Every heartbeat that can be read. */
  beats(): readonly Heartbeat[] {
    return [...this.#beats.values()].filter((beat) => beat !== DAMAGED);
  }
  listed(): ReadonlyMap<string, number> {
    return this.#listed;
  }
  /** Null if there are none that can be read. */
  countsOf(id: string): GatewayTraffic | null {
    const counts = this.#counts.get(id);
    return counts === undefined || counts === DAMAGED ? null : counts;
  }

  #changed(): void {
    for (const feedback of this.#feedbacks) feedback.look();
  }
}

class MemoryTraffic implements TrafficReader {
  readonly #gateways: MemoryGateways;
  #running = false;

  constructor(gateways: MemoryGateways) {
    this.#gateways = gateways;
  }

  start(): Promise<void> {
    this.#running = true;
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#running = false;
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  read(ids: readonly string[]): Promise<Result<readonly GatewayTraffic[], string>> {
    const { away } = this.#gateways;
    if (!this.#running || away !== null)
      return Promise.resolve(err(away ?? 'not connected: not started, or closed'));
    const named = ids.filter((id) => checkName('gateway', id).ok);
    return Promise.resolve(ok(named.flatMap((id) => this.#gateways.countsOf(id) ?? [])));
  }
}
