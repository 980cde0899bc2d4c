import { createHash } from 'node:crypto';
import { isPublishedName } from '../../model/names.js';
import type { Clock, LinkState, Meta, PruneAnswer, PublishAnswer, Publisher } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { PublishedDocument } from '../../model/set.js';

/** One set as it lies there; `damaged` cannot be read, and is where it was. */
type Row = PublishedDocument & { readonly damaged: boolean };

interface Kept {
  readonly meta: Meta | null;
  readonly sets: ReadonlyMap<string, Row>;
}

/**
 * The published sets in memory: what every controller that publishes shares. They fence, conflict, are lost and refuse as those
 * in Redis do, at once and in the order of the calls.
 */
export class MemorySets {
  /** While it is not null, every answer is lost for this reason; what was asked is done nevertheless. */
  deaf: string | null = null;
  /** While it is not null, no write is taken, in these words. */
  refuses: string | null = null;
  meta: Meta | null = null;
  readonly sets = new Map<string, Row>();
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #publishers = new Set<MemoryPublisher>();
  #away: { readonly reason: string | null; readonly since: number };

  constructor(clock: Pick<Clock, 'wall'>) {
    this.#clock = clock;
    this.#away = { reason: null, since: clock.wall() };
  }

  /** While it is not null, nothing is answered and nothing is done, for this reason. */
  get away(): string | null {
    return this.#away.reason;
  }
  set away(reason: string | null) {
    const returns = this.away !== null && reason === null;
    this.#away = { reason, since: this.#clock.wall() };
    if (returns) this.doubt('the connection was lost and made again');
  }

  publisher(): Publisher {
    const publisher: MemoryPublisher = new MemoryPublisher(this, () => this.#publishers.delete(publisher));
    this.#publishers.add(publisher);
    return publisher;
  }

  /** Says to every publisher that the data may have changed. */
  doubt(reason: string): void {
    for (const publisher of this.#publishers) publisher.doubt(reason);
  }

  /** Everything is gone. */
  wipe(): void {
    this.goBack({ meta: null, sets: new Map() });
  }
  /** What is there now, to go back to. */
  keep(): Kept {
    return { meta: this.meta, sets: new Map(this.sets) };
  }
  goBack({ meta, sets }: Kept): void {
    this.meta = meta;
    this.sets.clear();
    for (const [service, row] of sets) this.sets.set(service, row);
  }
  /** Somebody writes nonsense over a set. */
  damage(service: string): void {
    const row = this.sets.get(service);
    if (row !== undefined) this.sets.set(service, { ...row, damaged: true });
  }

  link(): LinkState {
    const { reason, since } = this.#away;
    return { state: reason === null ? 'connected' : 'connecting', since, detail: reason ?? 'in memory' };
  }
  wall(): number {
    return this.#clock.wall();
  }
}

/** What a publisher's call answers when it has none. */
const NOT_STARTED = 'not connected: not started, or closed';

type Request = Parameters<Publisher['publish']>[0];

class MemoryPublisher implements Publisher {
  readonly #sets: MemorySets;
  readonly #forget: () => void;
  readonly #listeners: ((reason: string) => void)[] = [];
  /** The newest publication of its own: what a seal must not find missing. */
  #seen = { epoch: 0, generation: 0 };
  #running = false;

  constructor(sets: MemorySets, forget: () => void) {
    this.#sets = sets;
    this.#forget = forget;
  }

  start(): Promise<void> {
    this.#running = true;
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#running = false;
    this.#forget();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  state(): LinkState {
    return this.#running ? this.#sets.link() : { state: 'connecting', since: 0, detail: NOT_STARTED };
  }
  onDoubt(listener: (reason: string) => void): void {
    this.#listeners.push(listener);
  }
  doubt(reason: string): void {
    if (this.#running) for (const listener of this.#listeners) listener(reason);
  }

  async probe(): Promise<string | null> {
    const answer = await this.#ask(() => null, 'write');
    return answer.ok ? null : answer.error;
  }
  time(): Promise<Result<number, string>> {
    return this.#ask(() => this.#sets.wall());
  }
  meta(): Promise<Result<Meta | null, string>> {
    return this.#ask(() => this.#sets.meta);
  }
  sets(above = 0): Promise<Result<readonly PublishedDocument[], string>> {
    return this.#ask(() =>
      [...this.#sets.sets.values()]
        .filter(({ damaged, generation }) => !damaged && generation > above)
        .map(({ damaged: _, ...published }) => published),
    );
  }
  verify(published: Iterable<PublishedDocument>): Promise<Result<string | null, string>> {
    return this.#ask(() => {
      for (const { service, epoch, generation, hash } of published) {
        const row = this.#sets.sets.get(service);
        const same = row?.epoch === epoch && row.generation === generation && row.hash === hash;
        if (!same || row.damaged) return service;
      }
      return null;
    });
  }

  async open(epoch: number): ReturnType<Publisher['open']> {
    assertWhole(epoch);
    const answer = await this.#ask(() => {
      const { meta } = this.#sets;
      if (meta !== null && meta.epoch > epoch) return { kind: 'fenced', epoch: meta.epoch } as const;
      const newest = Math.max(0, ...[...this.#sets.sets.values()].map((row) => row.generation));
      if (meta?.epoch !== epoch)
        this.#sets.meta = { epoch, generation: Math.max(meta?.generation ?? 0, newest), sealed: false };
      return { kind: 'opened', generation: this.#sets.meta?.generation ?? 0 } as const;
    }, 'write');
    if (!answer.ok) return { kind: 'unavailable', reason: answer.error };
    if (answer.value.kind === 'opened') this.#remember(epoch, answer.value.generation);
    return answer.value;
  }

  async publish(request: Request): Promise<PublishAnswer> {
    const { epoch, encoded, last_generation, expected_generation } = request;
    for (const number of [epoch, last_generation, expected_generation]) assertWhole(number);
    if (!isPublishedName(encoded.service)) throw new Error(`no set may be called ${encoded.service}`);
    if (createHash('sha1').update(encoded.payload, 'utf8').digest('hex') !== encoded.hash)
      throw new Error(`the hash of ${encoded.service} is not that of its payload`);
    const answer = await this.#ask(() => this.#publish(request), 'write');
    if (!answer.ok) return { kind: 'unavailable', reason: answer.error };
    if (answer.value.kind === 'published' || answer.value.kind === 'same')
      this.#remember(epoch, answer.value.generation);
    return answer.value;
  }

  async prune(epoch: number, tombstones: readonly PublishedDocument[]): Promise<PruneAnswer> {
    assertWhole(epoch);
    const answer = await this.#ask((): PruneAnswer => {
      const seen = this.#seen.epoch === epoch ? this.#seen.generation : 0;
      const meta = this.#position(epoch, seen);
      if ('kind' in meta) return meta;
      if (!meta.sealed) return { kind: 'unsealed' };
      for (const { service, generation, hash } of tombstones) {
        const row = this.#sets.sets.get(service);
        if (row?.epoch === epoch && row.generation === generation && row.hash === hash)
          this.#sets.sets.delete(service);
      }
      return { kind: 'pruned' };
    }, 'write');
    return answer.ok ? answer.value : { kind: 'unavailable', reason: answer.error };
  }

  async seal(epoch: number): ReturnType<Publisher['seal']> {
    assertWhole(epoch);
    const answer = await this.#ask(() => {
      const seen = this.#seen.epoch === epoch ? this.#seen.generation : 0;
      const meta = this.#position(epoch, seen);
      if ('kind' in meta) return meta;
      this.#sets.meta = { ...meta, sealed: true };
      return { kind: 'sealed' } as const;
    }, 'write');
    return answer.ok ? answer.value : { kind: 'unavailable', reason: answer.error };
  }

  #publish({ epoch, last_generation, expected_generation, at, encoded }: Request): PublishAnswer {
    const meta = this.#position(epoch, last_generation);
    if ('kind' in meta) return meta;
    const row = this.#sets.sets.get(encoded.service);
    if (row?.epoch === epoch && row.hash === encoded.hash && !row.damaged)
      return { kind: 'same', generation: row.generation };
    if ((row?.generation ?? 0) !== expected_generation)
      return { kind: 'conflict', generation: row?.generation ?? 0, epoch: row?.epoch ?? 0 };
    const generation = meta.generation + 1;
    this.#sets.meta = { ...meta, generation };
    this.#sets.sets.set(encoded.service, { ...encoded, epoch, generation, at, damaged: false });
    return { kind: 'published', generation };
  }

  /** Where the sets are, or why nothing is written to them under this epoch by who has seen that much. */
  #position(epoch: number, seen: number): Meta | Extract<PublishAnswer, { kind: 'fenced' | 'lost' }> {
    const { meta } = this.#sets;
    if (meta !== null && meta.epoch > epoch) return { kind: 'fenced', epoch: meta.epoch };
    return meta?.epoch === epoch && meta.generation >= seen ? meta : { kind: 'lost' };
  }

  #remember(epoch: number, generation: number): void {
    const before = this.#seen.epoch === epoch ? this.#seen.generation : 0;
    if (epoch >= this.#seen.epoch) this.#seen = { epoch, generation: Math.max(before, generation) };
  }

  #ask<T>(work: () => T, kind: 'read' | 'write' = 'read'): Promise<Result<T, string>> {
    const { away, deaf, refuses } = this.#sets;
    const failure = this.#running ? (away ?? (kind === 'write' ? refuses : null)) : NOT_STARTED;
    if (failure !== null) return Promise.resolve(err(failure));
    const done = work();
    return Promise.resolve(deaf === null ? ok(done) : err(deaf));
  }
}

function assertWhole(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`must be a whole number from 0 to 2^53 - 1, not ${String(value)}`);
}
