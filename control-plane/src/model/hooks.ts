import type { Lifecycle } from './ports.js';
import type { Result } from './result.js';

/*
 * Calls to the outside that releases make: what upgrades instances, and what evaluates a version.
 */

/** A POST of JSON. */
export interface HookCall {
  readonly url: string;
  /** The `Idempotency-Key`: a repeat after a crash or a time-out carries the same one. Visible ASCII, at most 255 characters. */
  readonly key: string;
  readonly body: object;
  readonly timeout_ms: number;
}

/** A file of the directory of commands, without arguments. */
export interface CommandCall {
  /** Its name in the directory. */
  readonly command: string;
  readonly key: string;
  /** What it gets, besides `PATH` and `EBBGATE_KEY`. */
  readonly env: Readonly<Record<string, string>>;
  /** What it may read from its standard input. */
  readonly input: string;
  readonly timeout_ms: number;
}

export type HookFailure =
  /** It may not be called, or refused for good (4xx, an exit code): the same again would change nothing. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** No answer, or one that asks to come again later (5xx, 408, 409, 425, 429): it may have arrived, so the same key again. */
  | { readonly kind: 'unanswered'; readonly reason: string };

/** Calls hooks. `close` ends what is under way. */
export interface Hooks extends Lifecycle {
  /** Why `url` must not be called, with how to correct it; null = it may. */
  forbids(url: string): string | null;
  /** Why `command` must not be run, or null. */
  forbidsCommand(command: string): string | null;
  /** The JSON that was answered, or the text of an answer that is none; null for an empty answer. */
  post(call: HookCall): Promise<Result<unknown, HookFailure>>;
  get(url: string, timeoutMs: number): Promise<Result<unknown, HookFailure>>;
  /** Runs a command to its end; an exit code other than 0 is a refusal with the last line of what it said. */
  run(call: CommandCall): Promise<Result<null, HookFailure>>;
}
