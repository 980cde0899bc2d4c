import type { HookCall, CommandCall, HookFailure, Hooks } from '../model/hooks.js';
import type { Clock } from '../model/ports.js';
import { err, type Result } from '../model/result.js';
import { forbids, parsePrefix } from './allowed.js';
import { forbidsCommand, runCommand } from './command.js';
import { ask } from './http.js';

/** What hooks may reach. */
export interface HookSettings {
  /** Prefixes of URLs that may be called; none = no URL may. */
  readonly prefixes: readonly string[];
  /** The directory of the commands; empty = there are none. */
  readonly commands: string;
  /** What a command may see of this process's environment. */
  readonly path: string;
  readonly clock: Clock;
}

/** The hooks of `model/hooks.ts` over HTTP and child processes. A prefix that cannot be read throws. */
export function createHooks(settings: HookSettings): Hooks {
  const prefixes = settings.prefixes.map((text) => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  });
  return new OutwardHooks(settings, prefixes);
}

/** How long `close` waits for what it ended. */
const CLOSE_MS = 2_000;

class OutwardHooks implements Hooks {
  readonly #settings: HookSettings;
  readonly #prefixes: readonly URL[];
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(settings: HookSettings, prefixes: readonly URL[]) {
    this.#settings = settings;
    this.#prefixes = prefixes;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#end.abort();
    const late = new AbortController();
    const ended = Promise.allSettled(this.#running);
    await Promise.race([ended, this.#settings.clock.sleep(CLOSE_MS, late.signal)]);
    late.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  forbids(url: string): string | null {
    return forbids(url, this.#prefixes);
  }

  forbidsCommand(command: string): string | null {
    return forbidsCommand(command, this.#settings.commands);
  }

  post(call: HookCall): Promise<Result<unknown, HookFailure>> {
    const { url, key, body, timeout_ms } = call;
    return this.#ask(url, timeout_ms, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
  }

  get(url: string, timeoutMs: number): Promise<Result<unknown, HookFailure>> {
    return this.#ask(url, timeoutMs, { method: 'GET', headers: { accept: 'application/json' } });
  }

  run(call: CommandCall): Promise<Result<null, HookFailure>> {
    const reason = this.forbidsCommand(call.command);
    if (reason !== null) return Promise.resolve(err({ kind: 'refused', reason }));
    const { commands, path, clock } = this.#settings;
    const around = { directory: commands, path, clock, signal: this.#end.signal };
    return this.#track(runCommand(call, around));
  }

  #ask(
    url: string,
    timeoutMs: number,
    request: Parameters<typeof ask>[1],
  ): Promise<Result<unknown, HookFailure>> {
    const reason = this.forbids(url);
    if (reason !== null) return Promise.resolve(err({ kind: 'refused', reason }));
    return this.#track(this.#askWithin(url, timeoutMs, request));
  }

  async #askWithin(
    url: string,
    timeoutMs: number,
    request: Parameters<typeof ask>[1],
  ): Promise<Result<unknown, HookFailure>> {
    using late = this.#settings.clock.deadline(timeoutMs);
    return await ask(url, request, AbortSignal.any([this.#end.signal, late.signal]));
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }
}
