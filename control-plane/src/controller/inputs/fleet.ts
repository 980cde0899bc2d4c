import type { Departure, FleetReport, RosterEntry } from '../../model/gateway.js';
import type { Position } from '../../model/position.js';
import { rosterBefore } from '../../plan/acceptance.js';
import type { Witnesses } from '../../plan/proof.js';

/** How long an id stays under suspicion after two boots were heard in turn. */
const SHARED_MS = 60_000;
/** An epoch above this is no honest one; one more than it must still be a whole number. */
const MOST_EPOCH = Number.MAX_SAFE_INTEGER - 1_000_000;

/** How many boots of one id are remembered. */
const KEPT_BOOTS = 8;

interface Boots {
  /** Boot → the sequence that was heard last of it, in the order in which the boots were first heard. */
  readonly heard: Map<string, number>;
  sharedUntil: number;
}

/**
 * What is known of the gateways: the roster, what was heard, who has left since, and which ids are used twice. All
 * moments are monotonic milliseconds.
 */
export class Fleet {
  #entries: ReadonlyMap<string, RosterEntry> = new Map();
  /** Those that have not gone. */
  #roster: ReadonlyMap<string, RosterEntry> | null = null;
  #gone: ReadonlyMap<string, Departure> = new Map();
  #report: FleetReport = { complete: false, heard: new Map(), listed: new Map() };
  readonly #left = new Map<string, number>();
  readonly #boots = new Map<string, Boots>();

  /** False until roster and heartbeats have been read once: before that nothing is known. */
  get complete(): boolean {
    return this.#roster !== null && this.#report.complete;
  }

  /** What was known of the gateways before a loss of data; null while Redis' list, if it is needed, has not been read. */
  before(loss: {
    readonly began: 'before' | 'after';
    readonly wall: number;
  }): ReadonlyMap<string, RosterEntry> | null {
    if (loss.began === 'after' && !this.#report.complete) return null;
    return rosterBefore(this.#entries, this.#report.listed.keys(), loss);
  }

  /** `entries` has those that have gone, too. */
  takeRoster(entries: ReadonlyMap<string, RosterEntry>, now: number): void {
    this.#entries = entries;
    const roster = new Map([...entries].filter(([, { gone }]) => gone === undefined));
    this.#gone = new Map([...entries].flatMap(([id, { gone }]) => (gone === undefined ? [] : [[id, gone]])));
    for (const id of this.#roster?.keys() ?? []) if (!roster.has(id)) this.#left.set(id, now);
    for (const id of roster.keys()) this.#left.delete(id);
    this.#roster = roster;
  }

  takeReport(report: FleetReport, now: number): void {
    this.#report = report;
    for (const known of [this.#left, this.#boots])
      for (const id of known.keys()) if (!report.heard.has(id) && !report.listed.has(id)) known.delete(id);
    for (const [id, { heartbeat }] of report.heard) this.#noteBoot(id, heartbeat.boot, heartbeat.seq, now);
  }

  /** How many gateways beat and could not be heard, there being too many. */
  get turnedAway(): number {
    return this.#report.turned_away ?? 0;
  }

  /** The highest epoch that any gateway has applied, of those up to `most`; 0 if none. */
  highestEpoch(most: number): number {
    let highest = 0;
    for (const { heartbeat } of this.#report.heard.values()) {
      const epoch = heartbeat.applied?.epoch ?? 0;
      if (epoch <= Math.min(most, MOST_EPOCH)) highest = Math.max(highest, epoch);
    }
    return highest;
  }

  /** The newest position that a gateway reports; null if none does. */
  newestApplied(): Position | null {
    let newest: Position | null = null;
    for (const { heartbeat } of this.#report.heard.values()) {
      const { applied } = heartbeat;
      if (applied === null || applied.epoch > MOST_EPOCH) continue;
      const [epoch, generation] = [newest?.epoch ?? 0, newest?.generation ?? 0];
      if (applied.epoch > epoch || (applied.epoch === epoch && applied.generation > generation))
        newest = applied;
    }
    return newest;
  }

  witnesses(now: number): Pick<Witnesses, 'roster' | 'gone' | 'fleet' | 'now' | 'left' | 'shared'> {
    const shared = new Set<string>();
    for (const [id, { sharedUntil }] of this.#boots) if (now < sharedUntil) shared.add(id);
    return {
      roster: this.#roster ?? new Map(),
      gone: this.#gone,
      fleet: this.#report,
      now,
      left: this.#left,
      shared,
    };
  }

  /** A boot that is heard again after another one did not end with it: two nginx report under this id. */
  #noteBoot(id: string, boot: string, seq: number, now: number): void {
    const known = this.#boots.get(id);
    if (!known) {
      this.#boots.set(id, { heard: new Map([[boot, seq]]), sharedUntil: -Infinity });
      return;
    }
    const newest = [...known.heard.keys()].at(-1);
    const before = known.heard.get(boot);
    if (before !== undefined && boot !== newest && seq > before) known.sharedUntil = now + SHARED_MS;
    known.heard.set(boot, seq);
    for (const old of known.heard.keys()) if (known.heard.size > KEPT_BOOTS) known.heard.delete(old);
  }
}
