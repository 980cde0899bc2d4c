import type { ReleaseEvent, ReleaseRecord, StoredRelease } from '../../model/release.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type { HashedPlan, ReleaseResource } from '../../model/release_resources.js';
import { describePlan, describeRelease } from '../../plan/release/describe.js';
import { planHash } from '../../plan/release/plan_hash.js';
import { isKnown, type World } from '../../plan/world.js';
import type { ReleaseDeps } from './deps.js';
import type { Looks } from './looks.js';
import type { UpgradeCalls } from './upgrade_calls.js';
import type { ReleaseWrites } from './writes.js';

/** What reads of releases are made of. */
export interface ReadDeps extends Pick<ReleaseDeps, 'inputs' | 'world'> {
  readonly looks: Looks;
  readonly writes: ReleaseWrites;
  readonly calls: UpgradeCalls;
  readonly facts: (world: World, record: ReleaseRecord) => ReleaseFacts;
}

/** What the API asks about releases. Each answer is of one moment. */
export class ReleaseReads {
  readonly #deps: ReadDeps;

  constructor(deps: ReadDeps) {
    this.#deps = deps;
  }

  running(): readonly ReleaseResource[] {
    return this.#deps.inputs.running
      .map((stored) => this.#describe(stored))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  ofService(service: string): readonly ReleaseResource[] | undefined {
    const world = this.#deps.world();
    const known = this.#deps.inputs.releases?.get(service);
    if (!known && !isKnown(world, service)) return undefined;
    const history = (known?.history ?? []).toReversed();
    const ended = history.map((record) => describeRelease(world, record, []));
    return known?.current ? [this.#describe(known.current), ...ended] : ended;
  }

  byId(id: string): ReleaseResource | undefined {
    const stored = this.#deps.inputs.running.find(({ record }) => record.id === id);
    if (stored) return this.#describe(stored);
    const record = this.record(id);
    return record && describeRelease(this.#deps.world(), record, []);
  }

  plan(id: string): HashedPlan | undefined {
    const record = this.record(id);
    return record && this.planOf(this.#deps.world(), record);
  }

  events(id: string): readonly ReleaseEvent[] | undefined {
    return this.record(id)?.events;
  }

  /** A release that runs or has ended, with what was counted since it was written. */
  record(id: string): ReleaseRecord | undefined {
    for (const { current, history } of this.#deps.inputs.releases?.values() ?? []) {
      if (current?.record.id === id) return this.#deps.looks.present(current);
      const ended = history.find((one) => one.id === id);
      if (ended) return ended;
    }
    return undefined;
  }

  planOf(world: World, record: ReleaseRecord): HashedPlan {
    return { ...describePlan(record, this.#deps.facts(world, record)), hash: planHash(record, world) };
  }

  #describe(stored: StoredRelease): ReleaseResource {
    const { looks, writes, calls, world } = this.#deps;
    const look = looks.of(stored.service);
    const unanswered = calls.failureOf(stored.record);
    const calling =
      unanswered === ''
        ? []
        : [`the upgrade was called without an answer, and is called again: ${unanswered}`];
    // Between a move and the next look nothing is known; where only counts were written, the last look still says it.
    const known = look?.record.id === stored.record.id ? look : null;
    const same = look?.etag === stored.etag || known?.record.rev === stored.record.rev;
    const waiting = !known ? ['being looked at'] : same ? [...known.waiting_for, ...calling] : [];
    const unwritten = writes.failureOf(stored.service);
    const problem =
      look?.problem ?? (unwritten === null ? null : `its next move is not written yet: ${unwritten}`);
    return describeRelease(world(), looks.present(stored), waiting, problem);
  }
}
