import type { Election, ElectionMember } from '../../model/election.js';
import type { Clock, Lifecycle, Timer } from '../../model/ports.js';
import type { StandingProblem } from '../../model/standing_problem.js';

/** How often the members of the election are looked at. */
const LOOK_MS = 15_000;
/** The longest session: as long is the place of a controller there that was killed and started again. */
const SESSION_MS = 60_000;

export interface NamesakesDeps {
  readonly election: Pick<Election, 'members'>;
  readonly clock: Pick<Clock, 'monotonic' | 'every'>;
}

/**
 * Controllers that run under one name. It is no doubt about who leads, since each has a place of its own in the election; but they
 * share the entries in the registry, and nobody knows which of them is meant.
 */
export class Namesakes implements Lifecycle {
  readonly #deps: NamesakesDeps;
  /** Name and starts of those that share it → when, monotonic, they were first seen together. */
  #seen: ReadonlyMap<string, { readonly id: string; readonly since: number }> = new Map();
  #timer: Timer | undefined;
  #looking: Promise<void> | null = null;

  constructor(deps: NamesakesDeps) {
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.#timer ??= this.#deps.clock.every(LOOK_MS, () => {
      this.#looking ??= this.look().finally(() => (this.#looking = null));
    });
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#timer?.stop();
    await this.#looking;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Looks once. Without an answer, what was seen stays as it is. */
  async look(): Promise<void> {
    const members = await this.#deps.election.members();
    if (!members.ok) return;
    const now = this.#deps.clock.monotonic();
    const shared = [...byName(members.value)].filter(([, starts]) => starts.length > 1);
    this.#seen = new Map(
      shared.map(([id, starts]) => {
        const key = JSON.stringify([id, ...starts.toSorted()]);
        return [key, { id, since: this.#seen.get(key)?.since ?? now }];
      }),
    );
  }

  /** Those that have been there together for longer than a dead one could. */
  problems(): readonly StandingProblem[] {
    const now = this.#deps.clock.monotonic();
    return [...this.#seen.values()]
      .filter(({ since }) => now - since >= SESSION_MS)
      .map(({ id }) => ({
        code: 'duplicate_controller',
        service: null,
        field: id,
        message: `two controllers run as ${id}; give each its own EBBGATE_CONTROLLER_ID`,
      }));
  }
}

function byName(members: readonly ElectionMember[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  for (const { id, started_at } of members) names.set(id, [...(names.get(id) ?? []), started_at]);
  return names;
}
