import type { Clock, Deadline, Lifecycle, StoreClocks, Timer } from '../../model/ports.js';
import type { ClockState } from '../../model/readiness.js';
import type { StandingProblem } from '../../model/standing_problem.js';
import type { Result } from '../../model/result.js';
import { checkClock, type ClockReading, type ClockVerdict } from '../../plan/clock.js';

export interface CheckedClockDeps {
  readonly clock: Clock;
  readonly stores: StoreClocks;
  /** How far the clocks may be apart. */
  readonly boundMs: number;
  /** Called when what `state` says has changed. */
  readonly changed: () => void;
}

/** How often the stores are asked; sooner while the clock is not known to be in sync. */
const ASK_MS = { usual: 10_000, doubtful: 1_000 };
/** A store that takes longer shows no time. */
const ANSWER_MS = 2_000;

/** How long a start waits for the stores to show the time. */
const KNOWN_WITHIN_MS = 10_000;

/** What was known at the last answer of a store. */
interface Anchor {
  readonly wall: number;
  readonly monotonic: number;
}

/**
 * The wall clock of this controller, checked against those of the stores. While it is in sync, `wall` is the process' own and `due`
 * is the same. While it is not (or no store has answered yet) `wall` is the likeliest time, carried on by the monotonic clock, so that what is
 * written makes sense; and `due`, by which everything expires, does not move. A jump is noticed at once, by the monotonic clock. While no
 * store answers, the last verdict stays.
 */
export class CheckedClock implements Clock, Lifecycle {
  readonly #deps: CheckedClockDeps;
  readonly #stop = new AbortController();
  #verdict: ClockVerdict = checkClock([], 0);
  #readings: readonly ClockReading[] = [];
  #anchor: Anchor | null = null;
  #due = -Infinity;
  #since: number;
  readonly #startedAt: number;
  #loop: Promise<void> | null = null;

  constructor(deps: CheckedClockDeps) {
    this.#deps = deps;
    this.#since = deps.clock.wall();
    this.#startedAt = deps.clock.monotonic();
  }

  monotonic(): number {
    return this.#deps.clock.monotonic();
  }

  after(ms: number, run: () => void): Timer {
    return this.#deps.clock.after(ms, run);
  }

  every(ms: number, run: () => void): Timer {
    return this.#deps.clock.every(ms, run);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#deps.clock.sleep(ms, signal);
  }

  deadline(ms: number): Deadline {
    return this.#deps.clock.deadline(ms);
  }

  wall(): number {
    const expected = this.#expected();
    return expected === null || this.#isInSync() ? this.#deps.clock.wall() : expected;
  }

  /** What was to end until this moment (milliseconds of the wall clock) has expired. */
  due(): number {
    if (this.#isInSync()) this.#due = Math.max(this.#due, this.#deps.clock.wall());
    return this.#due;
  }

  state(): ClockState {
    const jumped = this.#verdict.state === 'in_sync' && !this.#isInSync();
    return {
      state: jumped ? 'out_of_sync' : this.#verdict.state,
      since: new Date(this.#since).toISOString(),
      detail: jumped
        ? 'the clock of this controller has just jumped; the stores are being asked'
        : this.#verdict.detail,
      ahead_ms: Object.fromEntries(
        this.#readings.map(({ store, ahead_ms }) => [store, Math.round(-ahead_ms)]),
      ),
    };
  }

  /** That nothing expires, as a problem, once a store has shown it. */
  problem(): readonly StandingProblem[] {
    const { state, detail } = this.state();
    return state === 'out_of_sync' ? [{ code: 'clock', service: null, message: detail }] : [];
  }

  /** The stores have shown the time, or had the chance to: spans that begin now do not begin with a jump. */
  get isKnown(): boolean {
    return this.state().state !== 'unknown' || this.monotonic() - this.#startedAt > KNOWN_WITHIN_MS;
  }

  start(): Promise<void> {
    this.#loop ??= this.#run();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#ask();
      const isKnown = this.#isInSync() && this.#readings.length > 0;
      await this.#pause(isKnown ? ASK_MS.usual : ASK_MS.doubtful);
    }
  }

  /** Waits, or less when the clock jumps or this closes. */
  async #pause(ms: number): Promise<void> {
    const until = this.monotonic() + ms;
    while (!this.#stop.signal.aborted && this.monotonic() < until) {
      const jumped = this.#verdict.state === 'in_sync' && !this.#isInSync();
      if (jumped) return;
      await this.sleep(Math.min(ASK_MS.doubtful, until - this.monotonic()), this.#stop.signal);
    }
  }

  async #ask(): Promise<void> {
    const { stores, boundMs, changed } = this.#deps;
    const read = await Promise.all([
      this.#read('zookeeper', stores.zookeeper),
      this.#read('redis', stores.redis),
    ]);
    if (this.#stop.signal.aborted) return;
    this.#readings = read.flatMap((one) => one ?? []);
    // No store answers: the last verdict stays, and the monotonic clock shows a jump.
    if (this.#readings.length === 0) return;
    const before = this.#verdict;
    this.#verdict = checkClock(this.#readings, boundMs);
    const { state, correction_ms } = this.#verdict;
    const [local, monotonic] = [this.#deps.clock.wall(), this.monotonic()];
    const likely = local + correction_ms;
    const expected = this.#expected();
    // Carried on as it is while it still fits: what spans are measured by must not jump.
    if (state === 'in_sync' || expected === null || Math.abs(expected - likely) > boundMs)
      this.#anchor = { wall: likely, monotonic };
    if (before.state === state) return;
    this.#since = likely;
    changed();
  }

  async #read(
    store: ClockReading['store'],
    ask: () => Promise<Result<number, string>>,
  ): Promise<ClockReading | null> {
    const { clock } = this.#deps;
    const [wall, from] = [clock.wall(), clock.monotonic()];
    const answer = await Promise.race([ask(), this.#late()]);
    const took = clock.monotonic() - from;
    if (answer?.ok !== true) return null;
    return { store, ahead_ms: answer.value - (wall + took / 2), doubt_ms: took / 2 };
  }

  /** Resolves when an answer is too late, or when this closes. */
  async #late(): Promise<null> {
    await this.sleep(ANSWER_MS, this.#stop.signal);
    return null;
  }

  /** What the wall clock should say by the last anchor; null before there is one. */
  #expected(): number | null {
    return this.#anchor && this.#anchor.wall + (this.monotonic() - this.#anchor.monotonic);
  }

  #isInSync(): boolean {
    const expected = this.#expected();
    if (this.#verdict.state !== 'in_sync' || expected === null) return false;
    return Math.abs(this.#deps.clock.wall() - expected) <= this.#deps.boundMs;
  }
}
