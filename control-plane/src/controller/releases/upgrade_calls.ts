import type { HookFailure, Hooks } from '../../model/hooks.js';
import type { Clock, Log } from '../../model/ports.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { CallOutcome } from '../../model/release_strategy.js';
import type { Result } from '../../model/result.js';
import { wantedCall } from '../../plan/release/asks.js';
import { callKey, type WantedCall } from '../../plan/release/call.js';
import { Backoff } from '../backoff.js';

interface EffectDeps {
  readonly hooks: Hooks;
  readonly clock: Clock;
  readonly log: Log;
  /** Another pass, soon. */
  readonly wake: () => void;
}

/** Milliseconds between calls that had no answer. */
const AGAIN_MS = { first: 500, most: 15_000 };

/** Linux takes 128 KiB in one variable. */
const MOST_IN_VARIABLE = 64_000;

/** One call, from the moment at which a record asked for it until none does. */
interface Call {
  readonly backoff: Backoff;
  running: boolean;
  outcome: CallOutcome | null;
  /** What the last try without an answer came to. */
  failure: string;
}

/**
 * Makes the calls that records ask for, beside the passes. A call is made only for a record that was read from ZooKeeper, under
 * a key that is the same at every repeat and at every controller; what came of it is handed back as a fact, and counts once the
 * record has it. A call without an answer is made again as long as the record asks for it.
 */
export class UpgradeCalls {
  readonly #deps: EffectDeps;
  readonly #calls = new Map<string, Call>();
  /** Keys of the calls that the records ask for now. */
  #wanted: ReadonlySet<string> = new Set();

  constructor(deps: EffectDeps) {
    this.#deps = deps;
  }

  /** Begins what `records`, as written in ZooKeeper, ask for and is not under way; forgets what none asks for any more. */
  run(records: readonly ReleaseRecord[]): void {
    const wanted = records.map(wantedCall).filter((one) => one !== null);
    const keys = new Set(records.map(callKey));
    // Of a paused release too: what comes of a call that is under way is looked at when it goes on.
    for (const key of this.#calls.keys()) if (!keys.has(key)) this.#calls.delete(key);
    this.#wanted = new Set(wanted.map(({ key }) => key));
    for (const call of wanted) this.#begin(call);
  }

  /** What came of the call for the present batch and attempt of `record`; null while it has no outcome. */
  outcomeOf(record: ReleaseRecord): CallOutcome | null {
    return this.#calls.get(callKey(record))?.outcome ?? null;
  }

  /** What the last try came to, while there is no answer; empty otherwise. */
  failureOf(record: ReleaseRecord): string {
    const call = this.#calls.get(callKey(record));
    return call?.outcome === null ? call.failure : '';
  }

  /** The earliest monotonic moment at which a call is to be made again; Infinity if none is. */
  get retryAt(): number {
    const waiting = [...this.#calls].flatMap(([key, call]) =>
      this.#wanted.has(key) && !call.running && call.outcome === null ? [call] : [],
    );
    return Math.min(Infinity, ...waiting.map(({ backoff }) => backoff.retryAt));
  }

  #begin(wanted: WantedCall): void {
    const { key } = wanted;
    const known = this.#calls.get(key);
    const backoff = known?.backoff ?? new Backoff(this.#deps.clock, AGAIN_MS.first, AGAIN_MS.most);
    const call: Call = known ?? { backoff, running: false, outcome: null, failure: '' };
    this.#calls.set(key, call);
    if (call.running || call.outcome !== null || !backoff.over) return;
    call.running = true;
    this.#deps.log.info({ key, instances: wanted.body.instances.length }, 'upgrade asked for');
    void this.#make(wanted)
      .then((answer) => {
        this.#take(key, call, answer);
      })
      .catch((error: unknown) => {
        // A bug of an implementation is no answer: the call may have been made.
        this.#take(key, call, { ok: false, error: { kind: 'unanswered', reason: String(error) } });
      });
  }

  #make({ key, upgrade, body }: WantedCall): Promise<Result<unknown, HookFailure>> {
    const { hooks } = this.#deps;
    if ('webhook' in upgrade) {
      const { url, timeout_ms } = upgrade.webhook;
      return hooks.post({ url, key, body, timeout_ms });
    }
    const { name: command, timeout_ms } = upgrade.command;
    return hooks.run({ command, key, env: environmentOf(body), input: JSON.stringify(body), timeout_ms });
  }

  #take(key: string, call: Call, answer: Result<unknown, HookFailure>): void {
    const { log, wake } = this.#deps;
    call.running = false;
    if (answer.ok) call.outcome = { outcome: 'accepted', reason: '' };
    else if (answer.error.kind === 'refused')
      call.outcome = { outcome: 'refused', reason: answer.error.reason };
    else {
      call.failure = answer.error.reason;
      if (call.backoff.failed())
        log.warn(
          { key, reason: call.failure },
          'upgrade without an answer; will ask again, with the same key',
        );
    }
    if (call.outcome) log.info({ key, ...call.outcome }, 'upgrade answered');
    wake();
  }
}

/** What a command gets besides its input, which is what a webhook gets. */
function environmentOf(body: WantedCall['body']): Readonly<Record<string, string>> {
  return {
    EBBGATE_RELEASE: body.release,
    EBBGATE_SERVICE: body.service,
    EBBGATE_STEP: String(body.step),
    EBBGATE_ATTEMPT: String(body.attempt),
    EBBGATE_FROM: body.from,
    EBBGATE_TO: body.to,
    ...short('EBBGATE_INSTANCES', JSON.stringify(body.instances)),
    ...short('EBBGATE_IDS', body.instances.map(({ id }) => id).join(' ')),
  };
}

/** One variable, unless the system might not take it: its input has all of it. */
function short(name: string, value: string): Readonly<Record<string, string>> {
  return value.length <= MOST_IN_VARIABLE ? { [name]: value } : {};
}
