import type { World } from '../plan/world.js';
import type { Compilation } from './compilation.js';
import type { ContractChoice } from './contract_choice.js';
import type { DesiredState } from './desired_state.js';
import type { HoldBook } from './hold_book.js';
import type { Namesakes } from './inputs/namesakes.js';
import type { Inputs } from './inputs/inputs.js';
import { damagedRecords, type Stores } from './inputs/store_problems.js';
import type { CheckedClock } from './office/checked_clock.js';
import type { EpochWatch } from './office/epoch_watch.js';
import type { Leadership } from './office/leadership.js';
import type { Following } from './office/following.js';
import type { Publication } from './office/publication.js';
import type { ProblemLog } from './problem_log.js';

/** The rooms that know something. */
export interface Known {
  readonly stores: Stores;
  readonly inputs: Inputs;
  readonly desired: DesiredState;
  readonly contract: ContractChoice;
  readonly compilation: Compilation;
  readonly leadership: Leadership;
  readonly publication: Publication;
  readonly following: Following;
  readonly epochs: EpochWatch;
  readonly problems: ProblemLog;
  readonly holds: HoldBook;
  readonly namesakes: Pick<Namesakes, 'problems'>;
  readonly clock: CheckedClock;
  readonly settings: { readonly gatewaySilentMs: number };
}

/** Everything that is known now, put together from the rooms. */
export function worldOf(known: Known): World {
  const {
    stores,
    inputs,
    desired,
    contract,
    compilation,
    epochs,
    problems,
    holds,
    namesakes,
    clock,
    settings,
  } = known;
  const now = clock.monotonic();
  return {
    wall: clock.wall(),
    due: clock.due(),
    ...publishedIn(known),
    membership: desired.membership,
    intents: inputs.intents ?? new Map(),
    compiled: compilation.compiled,
    damaged: stores.intents.damaged(),
    holds: holds.standing,
    problems: desired.view?.problems ?? [],
    found: [...damagedRecords(stores), ...clock.problem(), ...namesakes.problems()],
    problems_since: problems.since,
    clashes: desired.clashes,
    recent: desired.recent,
    history: inputs.history,
    frozen: inputs.freeze,
    contract: contract.now,
    witnesses: {
      ...inputs.fleet.witnesses(now),
      silent_ms: settings.gatewaySilentMs,
      unready: unready(known, now),
      learning: epochs.isLearning(now),
    },
  };
}

const NOTHING: ReadonlySet<string> = new Set();

/** What is published, by who leads: of this controller itself while it publishes, else what was read of another one. */
function publishedIn({
  leadership,
  publication,
  following,
}: Known): Pick<World, 'epoch' | 'published' | 'unsettled'> {
  const { followed } = following;
  if (followed === null || publication.isOpen)
    return {
      epoch: leadership.term?.epoch ?? null,
      published: publication.published,
      unsettled: publication.unsettled,
    };
  return { epoch: followed.epoch, published: followed.published, unsettled: NOTHING };
}

/** Why nothing can be proven now, or null. */
function unready({ leadership, publication, following, inputs, epochs }: Known, now: number): string | null {
  const isStandby = leadership.state === 'standby';
  if (isStandby && following.followed === null) return 'what the leader has published has not been read yet';
  if (!inputs.fleet.complete) return 'the roster and the heartbeats of the gateways have not been read yet';
  const { turnedAway } = inputs.fleet;
  if (turnedAway > 0)
    return `Redis has more heartbeats of gateways than are read (${String(turnedAway)} more); forget the gateways that do not exist, and give each gateway its own Redis user`;
  const verifiedAt = isStandby ? following.readAt : publication.verifiedAt;
  if (now - verifiedAt > epochs.verifiedWithin)
    return 'Redis has not confirmed lately that what was published is still there';
  return null;
}
