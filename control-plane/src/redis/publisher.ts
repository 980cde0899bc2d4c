import { createHash } from 'node:crypto';
import type { Clock, LinkState, Log, Meta, PruneAnswer, PublishAnswer, Publisher } from '../model/ports.js';
import { isPublishedName } from '../model/names.js';
import { err, ok, type Result } from '../model/result.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import { addressOf } from '../model/redis_url.js';
import { RedisLink } from './client.js';
import { parseDocument } from './documents.js';
import { CHANNELS, KEYS } from './keys.js';
import { pruneTombstones } from './prune.js';
import type { PublishingScripts } from './scripts.js';

/** How many sets are asked for at a time when all are read. */
const READ_BATCH = 500;
/** How much is compared by one script, which nothing else of Redis runs beside: sets, and characters of their payloads. */
const VERIFY_BATCH = { sets: 200, characters: 1_000_000 };

type Fenced = Extract<PublishAnswer, { kind: 'fenced' }>;
type Lost = Extract<PublishAnswer, { kind: 'lost' }>;
type Unavailable = Extract<PublishAnswer, { kind: 'unavailable' }>;
type Opened = { readonly kind: 'opened'; readonly generation: number };
type Sealed = { readonly kind: 'sealed' };

/** Everything a script of the protocol may answer. */
type Answer = PublishAnswer | Opened | Sealed;

export interface PublisherOptions {
  /** `redis://[[user]:password@]host[:port][/database]`; a bad one throws. */
  readonly url: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly scripts: PublishingScripts;
  /** An answer that takes longer is `unavailable`. Default 1000. */
  readonly commandTimeoutMs?: number;
}

/** The publisher of `model/ports.ts` over one connection; start it before use. */
export function createPublisher(options: PublisherOptions): RedisPublisher {
  const address = addressOf(options.url);
  return new RedisPublisher(
    new RedisLink({
      address,
      name: 'ebbgate-publisher',
      log: options.log,
      clock: options.clock,
      scripts: { ...options.scripts },
      ...(options.commandTimeoutMs === undefined ? {} : { commandTimeoutMs: options.commandTimeoutMs }),
    }),
  );
}

/**
 * Publishes by the protocol of `lua/redis`. Whatever Redis refuses by an error (out of memory, read only, no
 * permission) is `unavailable` with its words. Calls may run at the same time; they are sent in the order of the calls.
 */
export class RedisPublisher implements Publisher {
  readonly #link: RedisLink;
  /** The newest publication that Redis has reported: what a seal must not find missing. */
  #seen = { epoch: 0, generation: 0 };
  /** Service → what was published last: what Redis gives back byte for byte is not read as something new. */
  readonly #published = new Map<string, EncodedDocument>();

  constructor(link: RedisLink) {
    this.#link = link;
  }

  state(): LinkState {
    return this.#link.state();
  }

  onDoubt(listener: (reason: string) => void): void {
    this.#link.onDoubt(listener);
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async time(): Promise<Result<number, string>> {
    const answer = await this.#link.run('TIME');
    if (!answer.ok) return answer;
    const [seconds, micros] = fields(answer.value).map((part) => wholeNumber(part));
    if (typeof seconds !== 'number' || typeof micros !== 'number') return err('TIME gave no time');
    return ok(seconds * 1_000 + micros / 1_000);
  }

  /** A meta that cannot be read is answered as null: only a new epoch mends either. */
  async meta(): Promise<Result<Meta | null, string>> {
    const answer = await this.#link.run('HMGET', KEYS.meta, 'epoch', 'generation', 'sealed');
    if (!answer.ok) return answer.error.startsWith('WRONGTYPE') ? ok(null) : answer;
    const [epoch, generation, sealed] = fields(answer.value);
    const at = { epoch: wholeNumber(epoch), generation: wholeNumber(generation) };
    if (at.epoch === null || at.generation === null) return ok(null);
    return ok({ epoch: at.epoch, generation: at.generation, sealed: sealed === '1' });
  }

  async sets(above = 0): Promise<Result<readonly PublishedDocument[], string>> {
    const index = await this.#link.run('ZRANGE', KEYS.index, `(${String(above)}`, '+inf', 'BYSCORE');
    if (!index.ok) return index.error.startsWith('WRONGTYPE') ? ok([]) : index;
    const names = fields(index.value).filter((name) => name !== null && isPublishedName(name)) as string[];
    const found: PublishedDocument[] = [];
    for (let start = 0; start < names.length; start += READ_BATCH) {
      const batch = await Promise.all(
        names.slice(start, start + READ_BATCH).map((name) => this.#readSet(name)),
      );
      for (const set of batch) {
        if (!set.ok) return set;
        if (set.value !== null) found.push(set.value);
      }
    }
    return ok(found);
  }

  async verify(published: Iterable<PublishedDocument>): Promise<Result<string | null, string>> {
    for (const batch of batches(published)) {
      const keys = [KEYS.index, ...batch.map(({ service }) => KEYS.set(service))];
      const args = batch.flatMap(({ service, epoch, generation, hash }) => [
        ...[service, String(epoch), String(generation), hash],
      ]);
      const answer = await this.#link.runScript('verify', keys, args);
      if (!answer.ok) return answer;
      const differing = batch[Number(answer.value) - 1];
      if (differing !== undefined) return ok(differing.service);
      if (answer.value !== 0) return err(`the verify script answered ${JSON.stringify(answer.value)}`);
    }
    return ok(null);
  }

  async open(epoch: number): Promise<Opened | Fenced | Unavailable> {
    assertWhole('epoch', epoch);
    const answer = await this.#ask('open', [KEYS.meta, KEYS.index], [String(epoch), CHANNELS.changed]);
    if (answer.kind === 'opened') this.#remember(epoch, answer.generation);
    return only(answer, 'opened', 'fenced', 'unavailable');
  }

  async publish(request: Parameters<Publisher['publish']>[0]): Promise<PublishAnswer> {
    const { epoch, encoded, at } = request;
    assertWhole('epoch', epoch);
    assertWhole('last_generation', request.last_generation);
    assertWhole('expected_generation', request.expected_generation);
    if (!isPublishedName(encoded.service))
      throw new Error(`no set may be called ${JSON.stringify(encoded.service)}`);
    if (sha1(encoded.payload) !== encoded.hash)
      throw new Error(`the hash of ${encoded.service} is not that of its payload`);
    const answer = await this.#ask(
      'publish',
      [KEYS.meta, KEYS.set(encoded.service), KEYS.index],
      [
        ...[
          String(epoch),
          String(request.last_generation),
          encoded.service,
          String(request.expected_generation),
        ],
        ...[at, encoded.hash, encoded.payload, CHANNELS.changed],
      ],
    );
    if (answer.kind === 'published' || answer.kind === 'same') {
      this.#remember(epoch, answer.generation);
      if ('removed' in encoded.document) this.#published.delete(encoded.service);
      else this.#published.set(encoded.service, encoded);
    }
    return only(answer, 'published', 'same', 'conflict', 'lost', 'fenced', 'unavailable');
  }

  async prune(epoch: number, tombstones: readonly PublishedDocument[]): Promise<PruneAnswer> {
    assertWhole('epoch', epoch);
    return pruneTombstones(this.#link, epoch, this.#seenUnder(epoch), tombstones);
  }

  async seal(epoch: number): Promise<Sealed | Fenced | Lost | Unavailable> {
    assertWhole('epoch', epoch);
    const seen = String(this.#seenUnder(epoch));
    const answer = await this.#ask('seal', [KEYS.meta], [String(epoch), seen, CHANNELS.changed]);
    return only(answer, 'sealed', 'fenced', 'lost', 'unavailable');
  }

  async probe(): Promise<string | null> {
    const answer = await this.#link.runScript('probe', [KEYS.meta, KEYS.index], []);
    if (!answer.ok) return answer.error;
    return answer.value === 'writable' ? null : `the probe script answered ${JSON.stringify(answer.value)}`;
  }

  #seenUnder(epoch: number): number {
    return this.#seen.epoch === epoch ? this.#seen.generation : 0;
  }

  /** Never downwards within an epoch: a server that went back must not make a seal forget what it once kept. */
  #remember(epoch: number, generation: number): void {
    const before = this.#seenUnder(epoch);
    if (epoch >= this.#seen.epoch) this.#seen = { epoch, generation: Math.max(before, generation) };
  }

  async #ask(script: string, keys: readonly string[], args: readonly string[]): Promise<Answer> {
    const reply = await this.#link.runScript(script, keys, args);
    if (!reply.ok) return { kind: 'unavailable', reason: reply.error };
    return parseAnswer(reply.value) ?? unexpected(script, reply.value);
  }

  async #readSet(name: string): Promise<Result<PublishedDocument | null, string>> {
    const answer = await this.#link.run(
      ...(['HMGET', KEYS.set(name), 'epoch', 'generation', 'hash', 'at', 'payload'] as const),
    );
    if (!answer.ok) return answer.error.startsWith('WRONGTYPE') ? ok(null) : answer;
    const [epochText, generationText, hash, at, payload] = fields(answer.value);
    const epoch = wholeNumber(epochText);
    const generation = wholeNumber(generationText);
    if (epoch === null || generation === null || !hash || !at || !payload) return ok(null);
    const known = this.#published.get(name);
    if (known?.payload === payload && known.hash === hash)
      return ok({ ...known, service: name, epoch, generation, at });
    if (sha1(payload) !== hash) return ok(null);
    const document = parseDocument(payload);
    if (!document.ok || document.value.service !== name) return ok(null);
    return ok({ service: name, document: document.value, payload, hash, epoch, generation, at });
  }
}

/** Parts of `published` that one script may compare; at least one set each. */
function* batches(published: Iterable<PublishedDocument>): Generator<readonly PublishedDocument[]> {
  let batch: PublishedDocument[] = [];
  let characters = 0;
  for (const one of published) {
    const isFull =
      batch.length >= VERIFY_BATCH.sets || characters + one.payload.length > VERIFY_BATCH.characters;
    if (isFull && batch.length > 0) {
      yield batch;
      [batch, characters] = [[], 0];
    }
    batch.push(one);
    characters += one.payload.length;
  }
  if (batch.length > 0) yield batch;
}

function parseAnswer(reply: unknown): Answer | null {
  const [kind, first, second] = fields(reply);
  const number = wholeNumber(first);
  if (kind === 'lost' || kind === 'sealed') return { kind };
  if (number === null) return null;
  if (kind === 'fenced') return { kind, epoch: number };
  if (kind === 'opened' || kind === 'published' || kind === 'same') return { kind, generation: number };
  const epoch = wholeNumber(second);
  return kind === 'conflict' && epoch !== null ? { kind, generation: number, epoch } : null;
}

/** Narrows an answer to the kinds that its script can give; any other one means that the scripts do not fit. */
function only<K extends Answer['kind']>(
  answer: Answer,
  ...kinds: readonly K[]
): Extract<Answer, { kind: K }> {
  if ((kinds as readonly string[]).includes(answer.kind)) return answer as Extract<Answer, { kind: K }>;
  return unexpected('the', answer) as Extract<Answer, { kind: K }>;
}

function unexpected(script: string, reply: unknown): Unavailable {
  return { kind: 'unavailable', reason: `${script} script answered ${JSON.stringify(reply)}` };
}

function fields(reply: unknown): readonly (string | null)[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((field: unknown) => (typeof field === 'string' ? field : null));
}

function wholeNumber(text: string | null | undefined): number | null {
  if (text === null || text === undefined || !/^\d{1,16}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

function assertWhole(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`${what} must be a whole number from 0 to 2^53 - 1, not ${String(value)}`);
}

function sha1(text: string): string {
  return createHash('sha1').update(text, 'utf8').digest('hex');
}
