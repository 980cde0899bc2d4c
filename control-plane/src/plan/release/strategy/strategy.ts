import type { Problem } from '../../../model/problem.js';
import type { ReleaseEnding, ReleaseRecord, ReleaseTraffic, Shares } from '../../../model/release.js';
import type { BatchInstance, Strategy } from '../../../model/release_strategy.js';
import type { ReleaseFacts } from '../../../model/release_facts.js';
import type { StrategyRequest } from '../../../model/release_plane.js';
import type { ReleasePlanResource, ReleaseResource } from '../../../model/release_resources.js';
import type { World } from '../../world.js';
import type { WantedCall } from '../call.js';
import type { Outcome } from '../outcome.js';

/*
 * What a strategy decides. States, pauses, soaks, gates, deadlines and idempotency are the same for all of them and live beside
 * this folder; nothing there names a strategy. Every verb is pure, makes one move at most, and is called only with records of its
 * own kind, unless it says otherwise. `now` is milliseconds of the wall clock.
 *
 * A new strategy: one file with an object of this interface, its members of `Strategies` and `StrategyRequests`, a line in
 * family.ts, and a test that runs strategy.contract.ts over it. `WITHOUT_INSTANCES` answers for one that takes no instance out of use.
 */

/** Who moves a release, and what they say. */
export interface Act {
  readonly by: string;
  readonly message: string;
  readonly now: number;
}

/** How far a person wants a release to go on: `full` = to its last step; by `force` guards do not refuse. */
export interface GoOn {
  readonly full: boolean;
  readonly force: boolean;
}

/** What came of a person's verb: a move, nothing to do, guards that refuse, or a state that it does not fit. */
export type Obedience =
  | { readonly moved: ReleaseRecord }
  | 'same'
  | 'unfit'
  | { readonly guards: readonly string[] };

/** What a release begins from. */
export interface Origin {
  /** The release whose place it takes, of any strategy, or null. */
  readonly running: ReleaseRecord | null;
  /** What that one has under way, see `handsOver`. */
  readonly handed: readonly BatchInstance[];
  readonly stable: string;
  readonly target: string;
  /** The shares in the service's own record. */
  readonly intent_shares: Shares;
  /** Ready instances by version. */
  readonly ready: Readonly<Record<string, number>>;
}

/** A hook that a release will call: `field` of the request names it. */
export type HookUse =
  | { readonly field: string; readonly url: string }
  | { readonly field: string; readonly command: string };

export interface ReleaseStrategy {
  readonly kind: Strategy['kind'];

  /* ---- how it begins ---- */

  /** What a request of its kind asks for, with the defaults. `drainTimeoutMs` is the controller's. */
  create(request: StrategyRequest, drainTimeoutMs: number): Strategy;
  /** `before`, of its kind, once more and without soaks; `request` may say more. */
  again(before: Strategy, request: StrategyRequest | null): Strategy;
  /** How long it soaks, in milliseconds, each soak once. */
  soaks(strategy: Strategy): readonly number[];
  /** True: it brings what an earlier release left to the version that is stable already. */
  finishes(strategy: Strategy): boolean;
  /** Why it must not take the place of what runs, or null. */
  refuse(origin: Pick<Origin, 'running' | 'handed'>): Problem | null;
  /** What is in a new record, and the shares that it moves from. */
  originate(strategy: Strategy, origin: Origin): { readonly strategy: Strategy; readonly base: Shares };
  /** Why the mere start would harm the service; empty = it would not. `inForce`: the shares of the release whose place it takes, or null. */
  guardStart(record: ReleaseRecord, facts: ReleaseFacts, inForce: Shares | null): readonly string[];

  /* ---- how it goes on ---- */

  /** Why a record of its kind contradicts itself, or null. */
  unsound(record: ReleaseRecord): string | null;
  /** Whose proofs and health it needs; null = it looks at no single instance. */
  watched(record: ReleaseRecord): ReadonlySet<string> | null;
  /** Whether this moment is observed in the record's phase, and whether it is one of problems. */
  observe(
    record: ReleaseRecord,
    facts: ReleaseFacts,
  ): { readonly observed: boolean; readonly stalled: boolean };
  /** The strategy with its estimate of what is to come. */
  foresee(record: ReleaseRecord, facts: ReleaseFacts): Strategy;
  /** What it must give back at once, before a step, within one and in a pause; null = nothing. */
  giveBack(record: ReleaseRecord, facts: ReleaseFacts, now: number): ReleaseRecord | null;
  /** `preparing`: what its first step needs besides gateways that obey, one sentence each. */
  awaits(record: ReleaseRecord, facts: ReleaseFacts): readonly string[];
  /** `preparing`, once nothing is awaited: the first step, or the guards that it waits for. */
  begin(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome;
  /** `progressing`, in every phase but `soaking` and `analysing`. */
  advance(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome;
  /** How long the present step soaks. */
  soakMs(record: ReleaseRecord): number;
  /** The gates passed: the next step, the end of the way, or what it waits for. */
  next(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome;
  /** A gate said that nothing more needs to be seen: as `next`, without the soaks to come. */
  complete(record: ReleaseRecord, facts: ReleaseFacts, act: Act): Outcome;
  /** `finalizing`: ends `succeeded` once the target serves and the service's own record says so. */
  finish(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome;
  /** Turns round, from any state that has not ended. */
  rollBack(record: ReleaseRecord, ending: ReleaseEnding, act: Act): ReleaseRecord;
  /** `rolling_back`: ends as `ending` says once the stable version serves and the service's own record says so. */
  goBack(record: ReleaseRecord, facts: ReleaseFacts, now: number): Outcome;
  /** Why step `index` may not begin now; empty = it may. */
  guardStep(record: ReleaseRecord, index: number, facts: ReleaseFacts): readonly string[];

  /* ---- what people do; each only in a step ---- */

  /** True: its way back has steps of its own, which `skip` may leave. */
  readonly stepsBack: boolean;
  retry(record: ReleaseRecord, act: Act): ReleaseRecord;
  promote(record: ReleaseRecord, facts: ReleaseFacts, how: GoOn, act: PersonalAct): Obedience;
  skip(record: ReleaseRecord, facts: ReleaseFacts, how: GoOn, act: PersonalAct): Obedience;

  /* ---- what it asks of others ---- */

  /** What its record takes out of the set. Of a record that has ended: nothing. */
  traffic(record: ReleaseRecord): Pick<ReleaseTraffic, 'draining' | 'batch'>;
  /** The instances that another release would have to take over. */
  handsOver(record: ReleaseRecord): readonly BatchInstance[];
  /** The call to make while `record` is written in ZooKeeper; null = none, or it has an outcome. */
  call(record: ReleaseRecord): WantedCall | null;
  /** Every hook that it may call. */
  hooks(strategy: Strategy): readonly HookUse[];

  /* ---- what people see ---- */

  describe(world: World, record: ReleaseRecord): Pick<ReleaseResource, 'steps' | 'back' | 'in_place'>;
  plan(record: ReleaseRecord, facts: ReleaseFacts): Pick<ReleasePlanResource, 'steps' | 'upgrade' | 'gates'>;
}

/** As a person asked: the reason alone, beside the message that names who and what. */
export interface PersonalAct extends Act {
  readonly reason: string;
}

/** The verbs of a strategy that takes no instance out of use and calls nobody. */
export const WITHOUT_INSTANCES = {
  watched: () => null,
  giveBack: () => null,
  traffic: () => ({ draining: [], batch: '' }),
  handsOver: () => [],
  call: () => null,
  hooks: () => [],
  stepsBack: false,
} as const satisfies Partial<ReleaseStrategy>;
