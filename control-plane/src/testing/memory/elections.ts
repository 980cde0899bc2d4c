import type { Election, ElectionState, ElectionMember } from '../../model/election.js';
import { err, ok, type Result } from '../../model/result.js';

/** The election in memory: what all controllers share. */
export class MemoryElections {
  readonly #places: MemoryElection[] = [];

  election(controller: ElectionMember): MemoryElection {
    return new MemoryElection(this, controller);
  }

  get members(): readonly MemoryElection[] {
    return this.#places;
  }

  /** At the end of the line, once. */
  enter(one: MemoryElection): void {
    this.leave(one);
    this.#places.push(one);
    this.#report();
  }

  leave(one: MemoryElection): void {
    const at = this.#places.indexOf(one);
    if (at < 0) return;
    this.#places.splice(at, 1);
    this.#report();
  }

  #report(): void {
    for (const one of this.#places) one.look();
  }
}

/** One that takes part in it. It looks after every change, at once. */
export class MemoryElection implements Election {
  readonly controller: ElectionMember;
  readonly #elections: MemoryElections;
  readonly #listeners: (() => void)[] = [];
  #running = false;
  #away = false;
  #state: ElectionState = 'unknown';

  constructor(elections: MemoryElections, controller: ElectionMember) {
    this.#elections = elections;
    this.controller = controller;
  }

  start(): Promise<void> {
    this.#running = true;
    if (!this.#away) this.#elections.enter(this);
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#running = false;
    this.#elections.leave(this);
    this.#enter('unknown');
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** While it is true there is no answer; the place is kept until `expire`. */
  get away(): boolean {
    return this.#away;
  }
  set away(away: boolean) {
    this.#away = away;
    if (away) this.#enter('unknown');
    else if (this.#running) this.#elections.enter(this);
  }

  /** Its session ends. */
  expire(): void {
    this.#elections.leave(this);
  }

  state(): ElectionState {
    return this.#state;
  }
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  resign(): void {
    if (this.#running && !this.#away) this.#elections.enter(this);
  }
  members(): Promise<Result<readonly ElectionMember[], string>> {
    if (!this.#running || this.#away) return Promise.resolve(err('no connection'));
    return Promise.resolve(ok(this.#elections.members.map(({ controller }) => controller)));
  }

  look(): void {
    if (this.#running && !this.#away)
      this.#enter(this.#elections.members[0] === this ? 'elected' : 'waiting');
  }

  #enter(state: ElectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
