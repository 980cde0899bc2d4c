import type { FleetReport, HeardGateway, Heartbeat } from '../../model/gateway.js';
import { checkName } from '../../model/names.js';
import type { Clock, Feedback, LinkState } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';

/** How many names that were never heard are kept in a report; the others are taken out of the list. */
const SHOWN = 100;

/** What a feedback has to do with. */
export interface Written {
  readonly away: string | null;
  beats(): readonly Heartbeat[];
  listed(): ReadonlyMap<string, number>;
  unlist(ids: readonly string[]): void;
  remove(id: string): void;
}

/** The feedback over what gateways write in memory. It looks after every change there. */
export class MemoryFeedback implements Feedback {
  readonly #gateways: Written;
  readonly #clock: Pick<Clock, 'monotonic' | 'wall'>;
  readonly #leave: () => void;
  readonly #listeners: ((report: FleetReport) => void)[] = [];
  readonly #heard = new Map<string, HeardGateway>();
  /** The last beats of forgotten gateways: what is not newer is a leftover. */
  readonly #forgotten = new Map<string, Heartbeat>();
  /** Forgotten and not heard since. */
  readonly #removed = new Set<string>();
  #listed: ReadonlyMap<string, number> = new Map();
  #complete = false;
  #running = false;

  constructor(gateways: Written, clock: Pick<Clock, 'monotonic' | 'wall'>, leave: () => void) {
    this.#gateways = gateways;
    this.#clock = clock;
    this.#leave = leave;
  }

  start(): Promise<void> {
    this.#running = true;
    this.look();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#running = false;
    this.#leave();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  state(): LinkState {
    const detail = this.#running ? this.#gateways.away : 'not started, or closed';
    const state = detail === null ? 'connected' : 'connecting';
    return { state, since: this.#clock.wall(), detail: detail ?? 'in memory' };
  }
  onReport(listener: (report: FleetReport) => void): void {
    this.#listeners.push(listener);
    listener(this.#report());
  }

  forget(id: string): Promise<void> {
    const name = checkName('gateway', id);
    if (!name.ok) return Promise.reject(new Error(name.error.message));
    const known = this.#heard.get(id);
    if (known !== undefined) this.#forgotten.set(id, known.heartbeat);
    this.#removed.add(id);
    const wasListed = this.#listed.has(id);
    this.#listed = new Map([...this.#listed].filter(([one]) => one !== id));
    if (this.#heard.delete(id) || wasListed) this.#push();
    if (this.#gateways.away === null) this.#gateways.remove(id);
    return Promise.resolve();
  }

  forgetNeverHeard(): Promise<Result<number, string>> {
    const { away } = this.#gateways;
    if (away !== null) return Promise.resolve(err(away));
    const names = [...this.#listed.keys()];
    this.#gateways.unlist(names);
    this.look();
    return Promise.resolve(ok(names.length));
  }

  /** Takes in what is there now, if anything is answered. */
  look(): void {
    if (!this.#running || this.#gateways.away !== null) return;
    const changed = this.#gateways.beats().filter((beat) => this.#hear(beat)).length > 0;
    for (const id of this.#removed) if (this.#gateways.listed().has(id)) this.#gateways.unlist([id]);
    const unheard = [...this.#gateways.listed()].filter(([id]) => !this.#heard.has(id));
    const shown = new Map(unheard.slice(0, SHOWN));
    this.#gateways.unlist(unheard.slice(SHOWN).map(([id]) => id));
    const relisted =
      shown.size !== this.#listed.size || [...shown].some(([id, at]) => this.#listed.get(id) !== at);
    if (!changed && !relisted && this.#complete) return;
    this.#listed = shown;
    this.#complete = true;
    this.#push();
  }

  /** Takes in one heartbeat; true if it says something new. */
  #hear(heartbeat: Heartbeat): boolean {
    const { id, boot, seq } = heartbeat;
    const last = this.#heard.get(id)?.heartbeat ?? this.#forgotten.get(id);
    if (last?.boot === boot && seq <= last.seq) return false;
    this.#forgotten.delete(id);
    this.#removed.delete(id);
    this.#heard.set(id, { heartbeat, changed_at: this.#clock.monotonic() });
    return true;
  }

  #push(): void {
    for (const listener of this.#listeners) listener(this.#report());
  }
  #report(): FleetReport {
    return {
      ...{ complete: this.#complete, heard: new Map(this.#heard), listed: this.#listed },
      ...{ listed_more: 0, turned_away: 0 },
    };
  }
}
