import { z } from 'zod';
import { LATENCY_BUCKETS } from '../model/latency.js';
import { checkName } from '../model/names.js';
import type { Clock, Log } from '../model/ports.js';
import type { Counts } from '../model/release_gates.js';
import type { GatewayTraffic, TrafficReader } from '../model/release_ports.js';
import { err, ok, type Result } from '../model/result.js';
import { isObject } from '../model/shape.js';
import { addressOf } from '../model/redis_url.js';
import { RedisLink } from './client.js';
import { describeIssue, nameSchema, parseJson } from './documents.js';
import { KEYS } from './keys.js';

/** How many gateways are asked for at a time. */
const READ_BATCH = 20;
const MAX_CHARACTERS = 8_000_000;

const limitCounts = z.object({
  admitted: z.int().min(0),
  delayed: z.int().min(0),
  refused: z.int().min(0),
});

const stats = z.object({
  v: z.literal(1),
  id: nameSchema('gateway'),
  boot: z.string().max(64),
  // Absent in those of gateways of an older release.
  seq: z.int().min(0).optional(),
  // Read by hand below: of 200 services zod takes 40 ms, once a second and gateway.
  services: z.custom<Readonly<Record<string, unknown>>>(isObject, { error: 'is no object' }),
  limits: z
    .object({
      seconds: z.int().min(0),
      services: z.record(z.string(), z.record(z.string(), limitCounts)),
    })
    .optional(),
});

/** Reads what is under the stats key of gateway `id`. A failure is one sentence that names the field. */
export function parseStats(id: string, text: string): Result<GatewayTraffic, string> {
  if (text.length > MAX_CHARACTERS) return err(`is longer than ${String(MAX_CHARACTERS)} characters`);
  const json = parseJson(text);
  if (!json.ok) return json;
  const parsed = stats.safeParse(json.value);
  if (!parsed.success) return err(describeIssue(parsed.error));
  if (parsed.data.id !== id) return err(`id: is ${parsed.data.id}, but its key says ${id}`);
  const services: [string, Readonly<Record<string, Counts>>][] = [];
  for (const [service, given] of Object.entries(parsed.data.services)) {
    const versions = isObject(given) ? given['versions'] : null;
    if (!isObject(versions)) return err(`services.${service}.versions: is no object`);
    const read: [string, Counts][] = [];
    for (const [version, counted] of Object.entries(versions)) {
      const counts = countsIn(counted);
      if (typeof counts === 'string') return err(`services.${service}.versions.${version}.${counts}`);
      read.push([version, counts]);
    }
    services.push([service, Object.fromEntries(read)]);
  }
  const { boot, seq = null, limits } = parsed.data;
  const read = { gateway: id, boot, seq, services: Object.fromEntries(services) };
  return ok(limits === undefined ? read : { ...read, limits });
}

/** The counts of one version, or the member that is wrong with what is wrong about it. */
function countsIn(given: unknown): Counts | string {
  if (!isObject(given)) return 'requests: is missing';
  const { requests, errors, latency_ms_sum: ms, latency_ms_buckets: filled } = given;
  if (!isCount(requests)) return 'requests: is no count';
  if (!isCount(errors)) return 'errors: is no count';
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0) return 'latency_ms_sum: is no sum';
  if (!Array.isArray(filled)) return 'latency_ms_buckets: is no list';
  const buckets = Array<number>(LATENCY_BUCKETS).fill(0);
  for (const pair of filled as readonly unknown[]) {
    const [bucket, counted] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    const known = isCount(bucket) && bucket >= 1 && bucket <= LATENCY_BUCKETS;
    if (!known || !isCount(counted)) return 'latency_ms_buckets: is no list of [bucket, count]';
    buckets[bucket - 1] = counted;
  }
  return { requests, errors, ms, buckets };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The traffic reader of `model/release_ports.ts` over a connection of its own. A bad url throws. */
export function createTrafficReader(options: {
  readonly url: string;
  readonly log: Log;
  readonly clock: Clock;
}): TrafficReader {
  const address = addressOf(options.url);
  const { log, clock } = options;
  return new RedisTrafficReader(new RedisLink({ address, log, clock, name: 'ebbgate-traffic' }), log);
}

class RedisTrafficReader implements TrafficReader {
  readonly #link: RedisLink;
  readonly #log: Log;
  /** Gateway → what is wrong with its counters; so that it is logged once. */
  readonly #complaints = new Map<string, string>();

  constructor(link: RedisLink, log: Log) {
    this.#link = link;
    this.#log = log;
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

  async read(gateways: readonly string[]): Promise<Result<readonly GatewayTraffic[], string>> {
    const ids = gateways.filter((id) => checkName('gateway', id).ok);
    const read: GatewayTraffic[] = [];
    for (let start = 0; start < ids.length; start += READ_BATCH) {
      const batch = ids.slice(start, start + READ_BATCH);
      // Never more of a value than counters may have: whoever may write one could make it as long as Redis takes.
      const most = String(MAX_CHARACTERS);
      const answers = await Promise.all(
        batch.map((id) => this.#link.run('GETRANGE', KEYS.stats(id), '0', most)),
      );
      for (const [position, id] of batch.entries()) {
        const answer = answers[position];
        if (answer?.ok === true) read.push(...this.#parse(id, answer.value));
        else if (answer?.error.startsWith('WRONGTYPE') !== true) return answer ?? err('no answer');
        else this.#complain(id, 'are no text');
      }
    }
    for (const id of this.#complaints.keys()) if (!gateways.includes(id)) this.#complaints.delete(id);
    return ok(read);
  }

  #parse(id: string, text: unknown): readonly GatewayTraffic[] {
    if (typeof text !== 'string' || text === '') return [];
    const parsed = parseStats(id, text);
    this.#complain(id, parsed.ok ? undefined : parsed.error);
    return parsed.ok ? [parsed.value] : [];
  }

  #complain(id: string, complaint: string | undefined): void {
    if (complaint !== undefined && this.#complaints.get(id) !== complaint)
      this.#log.warn({ gateway: id, complaint }, 'counters ignored');
    if (complaint === undefined) this.#complaints.delete(id);
    else this.#complaints.set(id, complaint);
  }
}
