import { request } from 'undici';
import type { Clock } from '../model/ports.js';

/** When readiness turns. One failed answer is noise, and one good one after failures may be luck. */
export interface ReadinessRule {
  /** Between questions once the instance has been ready. Default 1 s. */
  readonly everyMs: number;
  /** Failures in a row that make it unready. Default 3. */
  readonly failures: number;
  /** Successes in a row that make it ready again. Default 2; the first time one is enough. */
  readonly successes: number;
}

export const READINESS_RULE: ReadinessRule = { everyMs: 1_000, failures: 3, successes: 2 };

/** Before the first success it is asked this often, because somebody waits for it. */
const FIRST_EVERY_MS = 200;

/** True if `url` answers 2xx within `timeoutMs`. Never rejects. */
export async function answers2xx(
  url: string,
  signal: AbortSignal,
  clock: Clock,
  timeoutMs = 2_000,
): Promise<boolean> {
  using late = clock.deadline(timeoutMs);
  try {
    const { statusCode, body } = await request(url, {
      signal: AbortSignal.any([signal, late.signal]),
      headers: { 'user-agent': 'ebbgate-register' },
    });
    await body.dump();
    return statusCode >= 200 && statusCode < 300;
  } catch {
    return false;
  }
}

/**
 * Watches until `signal` aborts: calls `onTurn(true)` at the first success, then at each turn by the rule. Turns
 * are reported one at a time, each after the one before has been handled.
 */
export async function watchReadiness(options: {
  readonly probe: (signal: AbortSignal) => Promise<boolean>;
  readonly rule: ReadinessRule;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onTurn: (ready: boolean) => Promise<void>;
}): Promise<void> {
  const { probe, rule, clock, signal, onTurn } = options;
  let ready = false;
  let everReady = false;
  /** Answers in a row that contradict `ready`. */
  let against = 0;
  const over = (): boolean => signal.aborted;
  while (!over()) {
    const answer = await probe(signal);
    if (over()) return;
    against = answer === ready ? 0 : against + 1;
    const needed = ready ? rule.failures : everReady ? rule.successes : 1;
    if (against >= needed) {
      ready = answer;
      everReady = true;
      against = 0;
      await onTurn(ready);
    }
    const everyMs = everReady ? rule.everyMs : Math.min(FIRST_EVERY_MS, rule.everyMs);
    await clock.sleep(everyMs, signal);
  }
}
