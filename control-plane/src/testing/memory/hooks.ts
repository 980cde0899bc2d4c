import type { CommandCall, HookCall, HookFailure, Hooks } from '../../model/hooks.js';
import type { Clock } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';

/** What a URL answers: a status with a text; or a command: its exit code with its last words. Or nothing ever, or a connection that is cut. */
export type OutsideAnswer = { readonly status: number; readonly text: string } | 'silence' | 'hang_up';

/** A URL that was asked, or a command that was run. */
export interface OutsideCall {
  readonly at: string;
  /** Null for a GET. */
  readonly key: string | null;
  /** What it got. */
  readonly input: unknown;
}

/** Statuses that ask for time; every other 4xx refuses for good. */
const RETRY_LATER: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** What hooks reach, in memory. What is not in `answers` may not be called, as if no prefix and no file allowed it. */
export class MemoryOutside {
  /** URL, or name of a command, → what it answers. */
  readonly answers = new Map<string, OutsideAnswer>();
  /** Every call that arrived, oldest first. */
  readonly calls: OutsideCall[] = [];

  readonly clock: Pick<Clock, 'after'>;

  constructor(clock: Pick<Clock, 'after'>) {
    this.clock = clock;
  }

  hooks(): Hooks {
    return new MemoryHooks(this);
  }
}

class MemoryHooks implements Hooks {
  readonly #outside: MemoryOutside;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(outside: MemoryOutside) {
    this.#outside = outside;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#closed = true;
    for (const end of [...this.#waiting]) end();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  forbids(url: string): string | null {
    return this.#outside.answers.has(url) ? null : `${url} is not allowed: add it to the answers`;
  }
  forbidsCommand(command: string): string | null {
    return this.#outside.answers.has(command) ? null : `there is no ${command}: add it to the answers`;
  }

  post({ url, key, body, timeout_ms }: HookCall): Promise<Result<unknown, HookFailure>> {
    const input = JSON.parse(JSON.stringify(body)) as unknown;
    return this.#http({ at: url, key, input }, timeout_ms);
  }
  get(url: string, timeoutMs: number): Promise<Result<unknown, HookFailure>> {
    return this.#http({ at: url, key: null, input: null }, timeoutMs);
  }
  async run({ command, key, input, timeout_ms }: CommandCall): Promise<Result<null, HookFailure>> {
    const forbidden = this.forbidsCommand(command);
    if (forbidden !== null) return err({ kind: 'refused', reason: forbidden });
    const answer = await this.#ask({ at: command, key, input }, timeout_ms);
    if ('kind' in answer) return err(answer);
    if (answer.status === 0) return ok(null);
    return err({
      kind: 'refused',
      reason: `${command} ended with ${String(answer.status)}: ${answer.text}`,
    });
  }

  async #http(call: OutsideCall, timeoutMs: number): Promise<Result<unknown, HookFailure>> {
    const forbidden = this.forbids(call.at);
    if (forbidden !== null) return err({ kind: 'refused', reason: forbidden });
    const answer = await this.#ask(call, timeoutMs);
    if ('kind' in answer) return err(answer);
    const { status, text } = answer;
    const reason = `it answered ${String(status)}: ${text}`;
    if (status >= 500 || RETRY_LATER.has(status)) return err({ kind: 'unanswered', reason });
    if (status >= 300) return err({ kind: 'refused', reason });
    return ok(text === '' ? null : jsonOr(text));
  }

  async #ask(call: OutsideCall, timeoutMs: number): Promise<Exclude<OutsideAnswer, string> | HookFailure> {
    const { answers, calls } = this.#outside;
    if (this.#closed) return STOPPING;
    calls.push(call);
    const answer = answers.get(call.at);
    if (answer === 'hang_up') return { kind: 'unanswered', reason: 'it hung up' };
    if (answer !== undefined && answer !== 'silence') return answer;
    const isLate = await new Promise<boolean>((resolve) => {
      const end = (late: boolean): void => {
        timer.stop();
        this.#waiting.delete(stop);
        resolve(late);
      };
      const stop = (): void => {
        end(false);
      };
      const timer = this.#outside.clock.after(timeoutMs, () => {
        end(true);
      });
      this.#waiting.add(stop);
    });
    return isLate ? { kind: 'unanswered', reason: 'timed out' } : STOPPING;
  }
}

const STOPPING: HookFailure = { kind: 'unanswered', reason: 'this controller is stopping' };

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
