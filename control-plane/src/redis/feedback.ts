import type { FleetReport, HeardGateway, Heartbeat } from '../model/gateway.js';
import { checkName } from '../model/names.js';
import type { Clock, Feedback, LinkState, Log } from '../model/ports.js';
import { parseRedisUrl } from './address.js';
import { RedisLink } from './client.js';
import { parseHeartbeat } from './heartbeat.js';
import { CHANNELS, KEYS } from './keys.js';

/** How many heartbeats one MGET asks for. */
const READ_BATCH = 200;

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
  const address = parseRedisUrl(options.url);
  if (!address.ok) throw new Error(address.error);
  const shared = { address: address.value, log: options.log, clock: options.clock };
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
 * damaged, or Redis is away, `changed_at` just stands still, so it ages into unknown. Only `forget` takes it out. One that
 * Redis lists and that was never heard is told apart, until it is heard or forgotten.
 * `changed_at` moves when the boot or the sequence moved **as seen here**; a lower sequence of the same boot is old
 * data and ignored.
 */
export class RedisFeedback implements Feedback {
  readonly #hints: RedisLink;
  readonly #reads: RedisLink;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #listeners: ((report: FleetReport) => void)[] = [];
  readonly #heard = new Map<string, HeardGateway>();
  /** The last beats of forgotten gateways: what is not newer is a leftover, not a sign of life. */
  readonly #forgotten = new Map<string, Heartbeat>();
  /** Gateways that were forgotten and not heard since: what Redis lists of them is a leftover. */
  readonly #removed = new Set<string>();
  /** Gateways that Redis lists and that were never heard, with the unix second at which they were seen last. */
  #listed: ReadonlyMap<string, number> = new Map();
  /** Gateway → what is wrong with what it writes; so that it is logged once. */
  readonly #complaints = new Map<string, string>();
  /** What the next read must cover. */
  readonly #wanted = new Set<string>();
  #wantsAll = false;
  #complete = false;
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
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
    this.#clock = parts.clock;
    this.#pollMs = parts.pollMs;
    this.#hints.onMessage((id) => {
      if (!checkName('gateway', id).ok) return;
      this.#wanted.add(id);
      this.#read();
    });
    const readAll = (): void => {
      this.#wantsAll = true;
      this.#read();
    };
    // Hints sent while a connection was away are lost, so each new one begins with reading everything.
    this.#hints.onUsable(readAll);
    this.#reads.onUsable(readAll);
  }

  /** The worse of the two connections. */
  state(): LinkState {
    const states = [this.#reads.state(), this.#hints.state()] as const;
    return (
      states.find(({ state }) => state === 'connecting') ??
      states.find(({ state }) => state === 'degraded') ??
      states[0]
    );
  }

  /** The listener is called at once, before this returns, and then at every change. It must not throw. */
  onReport(listener: (report: FleetReport) => void): void {
    this.#listeners.push(listener);
    listener(this.#report());
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined || this.#closing !== undefined) return;
    this.#timer = setInterval(() => {
      this.#wantsAll = true;
      this.#read();
    }, this.#pollMs);
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
    if (this.#list(this.#listed) || wasHeard) this.#push();
    this.#complaints.delete(id);
    const answers = await Promise.all([
      this.#reads.run('ZREM', KEYS.gateways, id),
      this.#reads.run('DEL', KEYS.heartbeat(id), KEYS.stats(id)),
    ]);
    const failure = answers.find((answer) => !answer.ok);
    if (failure !== undefined)
      this.#log.warn({ gateway: id, reason: failure.error }, 'soft state of a forgotten gateway not removed');
  }

  async #end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([this.#hints.close(), this.#reads.close()]);
    await this.#reading;
  }

  /** Starts a read unless one is running; that one then goes round again. So hints are coalesced, and none is lost. */
  #read(): void {
    if (this.#closing !== undefined) return;
    this.#reading ??= this.#readWanted().finally(() => {
      this.#reading = undefined;
      if (this.#wantsAll || this.#wanted.size > 0) this.#read();
    });
  }

  async #readWanted(): Promise<void> {
    const ids = new Set(this.#wanted);
    const all = this.#wantsAll;
    this.#wanted.clear();
    this.#wantsAll = false;
    const listed = all ? await this.#readList() : null;
    for (const id of listed?.keys() ?? []) ids.add(id);
    const list = [...ids];
    let readAll = listed !== null;
    for (let start = 0; start < list.length; start += READ_BATCH)
      readAll = (await this.#readBatch(list.slice(start, start + READ_BATCH))) && readAll;
    if (!readAll || listed === null) return;
    const isNews = this.#list(listed) || !this.#complete;
    this.#complete = true;
    if (isNews) this.#push();
    await this.#sweep(listed);
  }

  /** Keeps of `seen` who is neither heard nor forgotten; true if that differs from before. */
  #list(seen: ReadonlyMap<string, number>): boolean {
    const unheard = [...seen].filter(([id]) => !this.#heard.has(id) && !this.#removed.has(id));
    const differs =
      unheard.length !== this.#listed.size || unheard.some(([id, at]) => this.#listed.get(id) !== at);
    if (differs) this.#listed = new Map(unheard);
    return differs;
  }

  /** A forgotten gateway that Redis still lists (Redis was away, or went back) is taken out there too. */
  async #sweep(listed: ReadonlyMap<string, number>): Promise<void> {
    for (const id of this.#removed) if (listed.has(id)) await this.#reads.run('ZREM', KEYS.gateways, id);
  }

  /** Id → unix second of its last sign of life. Null when Redis did not answer: the next poll asks again, and the link's state tells. */
  async #readList(): Promise<ReadonlyMap<string, number> | null> {
    const answer = await this.#reads.run('ZRANGE', KEYS.gateways, '0', '-1', 'WITHSCORES');
    if (!answer.ok || !Array.isArray(answer.value)) return null;
    // Pairs by RESP3, one flat list by RESP2.
    const flat = (answer.value as readonly unknown[]).flat();
    const found = new Map<string, number>();
    for (let at = 0; at < flat.length; at += 2) {
      const id = flat[at];
      if (typeof id !== 'string') continue;
      const name = checkName('gateway', id);
      if (name.ok) found.set(id, Math.floor(Number(flat[at + 1])) || 0);
      else this.#complain(id, name.error.message);
    }
    return found;
  }

  /** True if Redis answered. */
  async #readBatch(ids: readonly string[]): Promise<boolean> {
    const answer = await this.#reads.run('MGET', ...ids.map((id) => KEYS.heartbeat(id)));
    if (!answer.ok || !Array.isArray(answer.value)) return false;
    const texts: readonly unknown[] = answer.value;
    const news = ids.filter((id, position) => {
      const text = texts[position];
      return typeof text === 'string' && this.#hear(id, text);
    });
    if (news.length > 0) {
      this.#list(this.#listed);
      this.#push();
    }
    return true;
  }

  /** Takes in one heartbeat; true if it is news. */
  #hear(id: string, text: string): boolean {
    const parsed = parseHeartbeat(id, text);
    this.#complain(id, parsed.ok ? null : parsed.error);
    if (!parsed.ok) return false;
    const last = this.#heard.get(id)?.heartbeat ?? this.#forgotten.get(id);
    if (last?.boot === parsed.value.boot && parsed.value.seq <= last.seq) return false;
    this.#forgotten.delete(id);
    this.#removed.delete(id);
    this.#heard.set(id, { heartbeat: parsed.value, changed_at: this.#clock.monotonic() });
    return true;
  }

  #complain(id: string, complaint: string | null): void {
    if (this.#complaints.get(id) === (complaint ?? undefined)) return;
    if (complaint === null) this.#complaints.delete(id);
    else this.#complaints.set(id, complaint);
    const gateway = id.slice(0, 100);
    if (complaint === null) this.#log.info({ gateway }, 'heartbeat readable again');
    else this.#log.warn({ gateway, complaint }, 'heartbeat ignored');
  }

  #push(): void {
    const report = this.#report();
    for (const listener of this.#listeners) listener(report);
  }

  #report(): FleetReport {
    return { complete: this.#complete, heard: new Map(this.#heard), listed: this.#listed };
  }
}
