import type { FleetReport, HeardGateway, Heartbeat } from '../model/gateway.js';
import { worseLink } from '../model/link.js';
import { checkName } from '../model/names.js';
import type { Clock, Feedback, LinkState, Log, Timer } from '../model/ports.js';
import { ok, type Result } from '../model/result.js';
import { addressOf } from '../model/redis_url.js';
import { RedisLink } from './client.js';
import { Complaints } from './complaints.js';
import { GatewayList, MOST_LISTED, type GatewayListing } from './gateway_list.js';
import { MOST_CHARACTERS, parseHeartbeat } from './heartbeat.js';
import { HeartbeatRoom } from './heartbeat_room.js';
import { CHANNELS, KEYS } from './keys.js';
import { Wanted } from './wanted.js';

/** How many heartbeats are asked for at a time. */
const READ_BATCH = 50;
/** How many names that were never heard are shown; the others are taken out of Redis' list, which costs a living gateway nothing: it lists itself with every beat. */
const SHOWN = 100;
export interface FeedbackOptions {
  /** `redis://[[user]:password@]host[:port][/database]`; a bad one throws. */
  readonly url: string;
  readonly log: Log;
  readonly clock: Clock;
  /** How often everything is read whatever the hints say. Default 1000. */
  readonly pollMs?: number;
}

/** The feedback of `model/ports.ts` over two connections, one for hints and one for reads; start it before use. */
export function createFeedback(options: FeedbackOptions): RedisFeedback {
  const address = addressOf(options.url);
  const shared = { address, log: options.log, clock: options.clock };
  return new RedisFeedback({
    hints: new RedisLink({ ...shared, name: 'ebbgate-hints', channel: CHANNELS.report }),
    reads: new RedisLink({ ...shared, name: 'ebbgate-feedback' }),
    log: options.log,
    clock: options.clock,
    pollMs: options.pollMs ?? 1_000,
  });
}

/**
 * Hears the gateways. A gateway once heard stays in the report with its last good heartbeat: when its key expires, is
 * damaged, or Redis is away, `changed_at` stops, so it ages into unknown. Only `forget` takes it out. One that
 * Redis lists and that was never heard is distinguished, until it is heard or forgotten: anybody who may write the list can
 * make such names, so they are shown, in a bounded number, and count for nothing.
 * `changed_at` moves when the boot or the sequence moved **as seen here**; a lower sequence of the same boot is old
 * data and ignored.
 */
export class RedisFeedback implements Feedback {
  readonly #hints: RedisLink;
  readonly #reads: RedisLink;
  readonly #names: GatewayList;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #listeners: ((report: FleetReport) => void)[] = [];
  readonly #heard = new Map<string, HeardGateway>();
  /** The last beats of forgotten gateways: what is not newer is a leftover, not a sign of life. */
  readonly #forgotten = new Map<string, Heartbeat>();
  /** Gateways that were forgotten and not heard since: what Redis lists of them is a leftover. */
  readonly #removed = new Set<string>();
  /** How often all names that were never heard were taken out: a list that was read before the last time is of the past. */
  #removals = 0;
  /** Gateways that Redis lists and that were never heard, with the unix second at which they were seen last. */
  #listed: ReadonlyMap<string, number> = new Map();
  #listedMore = 0;
  readonly #room = new HeartbeatRoom();
  /** Gateways whose heartbeats are not taken in, there being too many. */
  readonly #turnedAway = new Set<string>();
  readonly #complaints: Complaints;
  readonly #wanted = new Wanted();
  #complete = false;
  #reading: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: {
    readonly hints: RedisLink;
    readonly reads: RedisLink;
    readonly log: Log;
    readonly clock: Clock;
    readonly pollMs: number;
  }) {
    this.#hints = parts.hints;
    this.#reads = parts.reads;
    this.#log = parts.log;
    this.#complaints = new Complaints(parts.log);
    this.#names = new GatewayList(parts.reads, parts.log);
    this.#clock = parts.clock;
    this.#pollMs = parts.pollMs;
    this.#hints.onMessage((id) => {
      if (!checkName('gateway', id).ok) return;
      this.#wanted.add(id);
      this.#read();
    });
    // Hints sent while a connection was away are lost, so each new one begins with reading everything.
    for (const link of [this.#hints, this.#reads])
      link.onUsable(() => {
        this.#readAll();
      });
  }

  /** The worse of the two connections. */
  state(): LinkState {
    return worseLink(this.#reads.state(), this.#hints.state());
  }

  /** The listener is called at once, before this returns, and then at every change. It must not throw. */
  onReport(listener: (report: FleetReport) => void): void {
    this.#listeners.push(listener);
    listener(this.#report());
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined || this.#closing !== undefined) return;
    this.#timer = this.#clock.every(this.#pollMs, () => {
      this.#readAll();
    });
    await Promise.all([this.#reads.start(), this.#hints.start()]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Takes a gateway out of the report at once, and its soft state out of Redis; if Redis cannot be reached, that is
   * logged and the report is right nevertheless. A gateway that beats on afterwards is heard again: it lives, whatever
   * a person believed. Rejects only a name that no gateway can have.
   */
  async forget(id: string): Promise<void> {
    const name = checkName('gateway', id);
    if (!name.ok) throw new Error(name.error.message);
    const known = this.#heard.get(id);
    this.#removed.add(id);
    if (known !== undefined) this.#forgotten.set(id, known.heartbeat);
    const wasHeard = this.#heard.delete(id);
    this.#room.take(id, '');
    this.#turnedAway.delete(id);
    if (this.#list(this.#listed, this.#listedMore) || wasHeard) this.#push();
    this.#complaints.forget(id);
    const failure = await this.#names.forget(id);
    if (failure !== null)
      this.#log.warn({ gateway: id, reason: failure }, 'soft state of a forgotten gateway not removed');
  }

  /** Takes every name that was never heard out of Redis' list. Resolves to how many, or to why it could not. */
  async forgetNeverHeard(): Promise<Result<number, string>> {
    const names = [...this.#listed.keys()];
    const removed = await this.#names.remove(names);
    if (!removed.ok) return removed;
    this.#removals += 1;
    if (this.#list(new Map(), 0)) this.#push();
    return ok(names.length);
  }

  async #end(): Promise<void> {
    this.#timer?.stop();
    await Promise.all([this.#hints.close(), this.#reads.close()]);
    await this.#reading;
  }

  /** Starts a read unless one is running; that one then goes round again. So hints are coalesced, and none is lost. */
  #read(): void {
    if (this.#closing !== undefined) return;
    this.#reading ??= this.#readWanted().finally(() => {
      this.#reading = undefined;
      if (this.#wanted.any) this.#read();
    });
  }

  #readAll(): void {
    this.#wanted.addAll();
    this.#read();
  }

  async #readWanted(): Promise<void> {
    const { ids, all } = this.#wanted.take();
    const removals = this.#removals;
    const listed = all ? await this.#names.read() : null;
    // Who was heard once is asked for whatever the list says, which somebody may have flooded.
    if (all) for (const id of [...this.#heard.keys(), ...this.#turnedAway]) ids.add(id);
    for (const id of listed?.names.keys() ?? []) ids.add(id);
    const list = [...ids];
    let readAll = listed !== null;
    for (let start = 0; start < list.length; start += READ_BATCH)
      readAll = (await this.#readBatch(list.slice(start, start + READ_BATCH))) && readAll;
    if (!readAll || listed === null) return;
    if (removals === this.#removals) await this.#takeList(listed);
    else this.#wanted.addAll();
  }

  /** Reports the names that nobody heard, and trims Redis' list to those that are shown. */
  async #takeList({ names, more, bad }: GatewayListing): Promise<void> {
    const unheard = [...names.keys()].filter((id) => this.#isUnheard(id));
    const surplus = unheard.slice(SHOWN);
    const isNew = this.#list(names, surplus.length + bad.length + more);
    const wasComplete = this.#complete;
    // With names that were not read somebody may be among them who serves.
    this.#complete ||= more === 0;
    if (isNew || wasComplete !== this.#complete) this.#push();
    if (surplus.length + bad.length > 0) {
      this.#log.warn(
        { names: surplus.length + bad.length, example: (surplus[0] ?? bad[0] ?? '').slice(0, 100) },
        'names that were never heard taken out of the list of gateways',
      );
      await this.#names.remove([...surplus, ...bad]);
    }
    if (more > 0) this.#wanted.addAll();
    for (const id of this.#removed) if (names.has(id)) await this.#names.forget(id);
  }

  #isUnheard(id: string): boolean {
    return !this.#heard.has(id) && !this.#removed.has(id) && !this.#turnedAway.has(id);
  }

  /** Keeps of `seen` who is neither heard nor forgotten, the first of them; true if that differs from before. */
  #list(seen: ReadonlyMap<string, number>, more: number): boolean {
    const unheard = [...seen].filter(([id]) => this.#isUnheard(id)).slice(0, SHOWN);
    const differs =
      more !== this.#listedMore ||
      unheard.length !== this.#listed.size ||
      unheard.some(([id, at]) => this.#listed.get(id) !== at);
    if (differs) this.#listed = new Map(unheard);
    this.#listedMore = more;
    return differs;
  }

  /** True if Redis answered. */
  async #readBatch(ids: readonly string[]): Promise<boolean> {
    // Never more of a value than a heartbeat may have: whoever may write one could make it as long as Redis takes.
    const most = String(MOST_CHARACTERS);
    const answers = await Promise.all(
      ids.map((id) => this.#reads.run('GETRANGE', KEYS.heartbeat(id), '0', most)),
    );
    let answered = true;
    const changed = ids.filter((id, position) => {
      const answer = answers[position];
      if (answer?.ok !== true) {
        if (answer?.error.startsWith('WRONGTYPE') === true) this.#complaints.note(id, 'is no text');
        else answered = false;
        return false;
      }
      const text = answer.value;
      if (typeof text !== 'string' || text === '') return this.#turnedAway.delete(id);
      return this.#hear(id, text);
    });
    if (changed.length > 0) {
      this.#list(this.#listed, this.#listedMore);
      this.#push();
    }
    return answered;
  }

  /** Takes in one heartbeat; true if it says something new. */
  #hear(id: string, text: string): boolean {
    // The same text says nothing new; it was good when it was taken in.
    if (this.#room.has(id, text)) {
      this.#complaints.note(id, null);
      return false;
    }
    const parsed = parseHeartbeat(id, text);
    this.#complaints.note(id, parsed.ok ? null : parsed.error);
    if (!parsed.ok) return false;
    const last = this.#heard.get(id)?.heartbeat ?? this.#forgotten.get(id);
    if (last?.boot === parsed.value.boot && parsed.value.seq <= last.seq) return false;
    if (!this.#room.fits(id, text.length)) {
      if (this.#turnedAway.has(id) || this.#turnedAway.size >= MOST_LISTED) return false;
      this.#turnedAway.add(id);
      return true;
    }
    this.#turnedAway.delete(id);
    this.#room.take(id, text);
    this.#forgotten.delete(id);
    this.#removed.delete(id);
    this.#heard.set(id, { heartbeat: parsed.value, changed_at: this.#clock.monotonic() });
    return true;
  }

  #push(): void {
    const report = this.#report();
    for (const listener of this.#listeners) listener(report);
  }

  #report(): FleetReport {
    return {
      complete: this.#complete,
      heard: new Map(this.#heard),
      listed: this.#listed,
      listed_more: this.#listedMore,
      turned_away: this.#turnedAway.size,
    };
  }
}
