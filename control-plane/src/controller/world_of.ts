import type { World } from '../plan/world.js';
import type { Compilation } from './compilation.js';
import type { DesiredState } from './desired_state.js';
import type { Inputs } from './inputs/inputs.js';
import { damagedRecords, type Stores } from './inputs/store_problems.js';
import type { CheckedClock } from './office/checked_clock.js';
import type { EpochWatch } from './office/epoch_watch.js';
import type { Leadership } from './office/leadership.js';
import type { Publication } from './office/publication.js';
import type { ProblemLog } from './problem_log.js';

/** The rooms that know something. */
export interface Known {
  readonly stores: Stores;
  readonly inputs: Inputs;
  readonly desired: DesiredState;
  readonly compilation: Compilation;
  readonly leadership: Leadership;
  readonly publication: Publication;
  readonly epochs: EpochWatch;
  readonly problems: ProblemLog;
  readonly clock: CheckedClock;
  readonly settings: { readonly gatewaySilentMs: number };
}

/** Everything that is known now, put together from the rooms. */
export function worldOf(known: Known): World {
  const { stores, inputs, desired, compilation, leadership, publication, epochs, problems, clock, settings } =
    known;
  const now = clock.monotonic();
  return {
    wall: clock.wall(),
    due: clock.due(),
    epoch: leadership.term?.epoch ?? null,
    membership: desired.membership,
    intents: inputs.intents ?? new Map(),
    compiled: compilation.compiled,
    published: publication.published,
    unsettled: publication.unsettled,
    damaged: stores.intents.damaged(),
    protections: desired.protections,
    problems: desired.view?.problems ?? [],
    found: [...damagedRecords(stores), ...clock.problem()],
    problems_since: problems.since,
    clashes: desired.clashes,
    recent: desired.recent,
    history: inputs.history,
    frozen: inputs.freeze,
    witnesses: {
      ...inputs.fleet.witnesses(now),
      silent_ms: settings.gatewaySilentMs,
      unready: unready(known, now),
      learning: epochs.isLearning(now),
    },
  };
}

/** Why nothing can be proven now, or null. */
function unready({ leadership, publication, inputs, epochs }: Known, now: number): string | null {
  if (leadership.state === 'standby') return 'this controller does not lead; ask the one that leads';
  if (!inputs.fleet.complete) return 'the roster and the heartbeats of the gateways have not been read yet';
  const { turnedAway } = inputs.fleet;
  if (turnedAway > 0)
    return `Redis has more heartbeats of gateways than are read (${String(turnedAway)} more); forget the gateways that do not exist, and give each gateway its own Redis user`;
  if (now - publication.verifiedAt > epochs.verifiedWithin)
    return 'Redis has not confirmed lately that what was published is still there';
  return null;
}
