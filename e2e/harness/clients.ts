import type { MutationResource } from '../../control-plane/src/testkit.js';
import type { RegisteredInstance } from './registered_instance.js';
import { checkConfirmation, type Confirmation } from './check_confirmation.js';
import type { Observed } from './observer.js';
import { timePasses, until } from './until.js';
import type { ControlledPlatform } from './controlled_platform.js';

/*
 * Clients of the control API in parallel, each with one instance of its own, and an observer that belongs to none of them: it reads
 * the service's record straight from ZooKeeper. A client repeats a change under one Idempotency-Key until it is answered.
 */

type Verb = 'drain' | 'undrain' | 'isolate' | 'restore';
/** How long a client waits for the proof of its drain before it gives the instance back. */
const WAIT_MS = 1_500;
/** In this order each of them changes something. */
const CYCLE: readonly Verb[] = ['drain', 'undrain', 'isolate', 'restore'];
const LEAVES: Readonly<Record<Verb, string | null>> = {
  drain: 'draining',
  undrain: null,
  isolate: 'isolated',
  restore: null,
};

/** A change that was answered with success. */
export interface Answered {
  readonly instance: RegisteredInstance;
  readonly verb: Verb;
  readonly key: string;
  /** What the answer said that it changed. */
  readonly changes: string;
}

/** What the clients did. */
export interface Ledger {
  readonly answered: readonly Answered[];
  /** Drains that were called drained. */
  readonly confirmations: readonly Confirmation[];
  /** Answers that were no success and that no client may get: everything but "not now". */
  readonly refused: readonly string[];
  /** The longest time in which no client was answered with success, in milliseconds. */
  readonly longestGapMs: number;
}

export interface Clients {
  /** Ends every client after the answer to its present change; may be called twice. */
  stop(): Promise<Ledger>;
}

/**
 * Starts one client per instance. The service needs further instances that nobody drains. `name` begins every key, so it must
 * be another one at each start.
 */
export function startClients(
  platform: ControlledPlatform,
  name: string,
  service: string,
  instances: readonly RegisteredInstance[],
): Clients {
  const stopped = new AbortController();
  const answered: Answered[] = [];
  const confirmations: Confirmation[] = [];
  const refused: string[] = [];
  let [last, longestGapMs] = [performance.now(), 0];

  /** Asks with one key until there is an answer that is not "not now". */
  const change = async (instance: RegisteredInstance, verb: Verb, key: string): Promise<string | null> => {
    const path = `/v1/services/${service}/instances/${encodeURIComponent(instance.id)}/${verb}`;
    for (;;) {
      const answer = await platform
        .call<MutationResource & { readonly code?: string; readonly detail?: string }>(
          'POST',
          path,
          { reason: key },
          { 'idempotency-key': key },
        )
        .catch(() => ({ status: 0, body: { code: 'no_answer' } as never }));
      if (answer.status >= 200 && answer.status < 300) {
        const now = performance.now();
        longestGapMs = Math.max(longestGapMs, now - last);
        last = now;
        const changes = answer.body.changes
          .map(({ field, from, to }) => `${field}: ${from} → ${to}`)
          .join(', ');
        answered.push({ instance, verb, key, changes });
        return answer.body.operation?.id ?? null;
      }
      const code = answer.body.code ?? String(answer.status);
      if (answer.status !== 0 && answer.status !== 503) {
        refused.push(`${key}: ${String(answer.status)} ${code} ${answer.body.detail ?? ''}`);
        return null;
      }
      await timePasses('before it asks again', 50);
    }
  };
  /** When a drain was proven, or null if it was not within the time that a client waits. */
  const proven = async (operation: string): Promise<number | null> => {
    const drained = async (): Promise<number | null> => {
      const { result, ended_at } = await platform.operation(operation);
      return result === 'drained' ? Date.parse(ended_at ?? '') : null;
    };
    return until('the proof', drained, { timeoutMs: WAIT_MS, everyMs: 50 }).catch(() => null);
  };
  const client = async (instance: RegisteredInstance, number: number): Promise<void> => {
    let open: Omit<Confirmation, 'until'> | null = null;
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      const verb = CYCLE[turn % CYCLE.length] as Verb;
      if (verb === 'undrain' && open !== null) confirmations.push({ ...open, until: Date.now() });
      if (verb === 'undrain') open = null;
      const operation = await change(instance, verb, `${name}-${String(number)}-${String(turn)}`);
      const at = verb === 'drain' && operation !== null ? await proven(operation) : null;
      if (operation !== null && at !== null) open = { instance, operation, at };
    }
    if (open !== null) confirmations.push({ ...open, until: Date.now() });
  };
  const running = Promise.all(instances.map(client));
  return {
    stop: async () => {
      stopped.abort();
      await running;
      return { answered, confirmations, refused, longestGapMs };
    },
  };
}

/**
 * Compares what the clients were answered with what an observer saw and the instances themselves got: sentences; empty = every
 * answered change is in force, each took effect once, and no drain was called drained too early.
 */
export function checkLedger(ledger: Ledger, { effects, record }: Observed): readonly string[] {
  const broken = ledger.refused.map((one) => `refused: ${one}`);
  for (const { key, verb, changes } of ledger.answered)
    if (effects.get(key) === undefined)
      broken.push(`${key} (${verb}) was answered and never took effect: ${changes}`);
  for (const [key, times] of effects)
    if (times !== 1) broken.push(`${key} took effect ${String(times)} times`);
  for (const instance of new Set(ledger.answered.map((one) => one.instance))) {
    const { verb } = ledger.answered.findLast((one) => one.instance === instance) as Answered;
    const state = Object.hasOwn(record.instances, instance.id) ? record.instances[instance.id]?.state : null;
    if ((state ?? null) !== LEAVES[verb])
      broken.push(`${instance.id} is ${String(state)} after its last ${verb}`);
  }
  return [...broken, ...ledger.confirmations.flatMap(checkConfirmation)];
}
