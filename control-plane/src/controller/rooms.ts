import type { ContractVersion } from '../model/contract.js';
import type { Election } from '../model/election.js';
import type { AuditStore } from '../model/audit_ports.js';
import type { FreezeStore } from '../model/freeze_ports.js';
import type { Hooks } from '../model/hooks.js';
import type {
  Clock,
  ConsumerRegistration,
  Feedback,
  HistoryStore,
  IntentStore,
  LinkState,
  Log,
  Office,
  Publisher,
  RegistrySource,
  RosterStore,
  StoreClocks,
  TruthView,
} from '../model/ports.js';
import type { Prometheus } from '../model/prometheus.js';
import type { PublishedDocument } from '../model/set.js';
import type { ReleaseStore, TrafficReader } from '../model/release_ports.js';
import type { CopyPlace, RecordCodec } from '../model/truth_copy.js';
import type { StandingProblem } from '../model/standing_problem.js';
import type { ApiConsumerStore } from '../model/api_consumer_ports.js';
import type { TokenStore } from '../model/token_ports.js';
import { DEFAULT_RULES } from '../plan/membership.js';
import type { World } from '../plan/world.js';
import { Commands } from './commands/commands.js';
import type { CommandContext } from './commands/context.js';
import { ServiceQueue } from './commands/service_queue.js';
import { Copies } from './copies/copies.js';
import { Restoration } from './copies/restoration.js';
import { Compilation } from './compilation.js';
import { ContractChoice } from './contract_choice.js';
import { DesiredState } from './desired_state.js';
import { Forgetting } from './forgetting.js';
import { HoldBook } from './hold_book.js';
import { Housekeeping } from './housekeeping.js';
import { Inputs } from './inputs/inputs.js';
import { Namesakes } from './inputs/namesakes.js';
import { Standstill } from './inputs/standstill.js';
import { Writability } from './inputs/writability.js';
import { Authority } from './office/authority.js';
import { CatchUp } from './office/catch_up.js';
import { CheckedClock } from './office/checked_clock.js';
import { DataLoss } from './office/data_loss.js';
import { EpochWatch } from './office/epoch_watch.js';
import { Following } from './office/following.js';
import { Handover } from './office/handover.js';
import { Leadership } from './office/leadership.js';
import { LossSettlement } from './office/loss_settlement.js';
import { Pruning } from './office/pruning.js';
import { Publication } from './office/publication.js';
import { Verification } from './office/verification.js';
import { Passes } from './passes.js';
import { ProblemLog } from './problem_log.js';
import { Releases } from './releases/releases.js';
import { Scheduler } from './scheduler.js';
import { worldOf } from './world_of.js';

/** Everything the controller works with; main.ts hands the implementations in. */
export interface ControllerDeps {
  readonly registry: RegistrySource;
  readonly office: Office;
  readonly election: Election;
  readonly intents: IntentStore;
  readonly histories: HistoryStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly traffic: TrafficReader;
  readonly freezes: FreezeStore;
  readonly audit: AuditStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
  readonly hooks: Hooks;
  readonly prometheus: Prometheus;
  readonly consumers: ConsumerRegistration;
  readonly publisher: Publisher;
  readonly feedback: Feedback;
  readonly truthLink: () => LinkState;
  readonly truthView: TruthView;
  /** Tries to write into ZooKeeper, and changes nothing: null, or why it was refused. */
  readonly probeTruth: () => Promise<string | null>;
  /** What is wrong with the right to use ZooKeeper and with the certificate of the API, for people; it steers nothing. */
  readonly accessProblems: () => readonly StandingProblem[];
  readonly clock: Clock;
  readonly storeClocks: StoreClocks;
  /** Where copies of the truth are kept. */
  readonly copyPlaces: readonly CopyPlace[];
  readonly recordCodec: RecordCodec;
  readonly log: Log;
  /** A fresh operation id. */
  readonly newId: () => string;
  /** A fresh release id. */
  readonly newReleaseId: () => string;
  readonly settings: ControllerSettings;
}

/** Times in milliseconds. */
export interface ControllerSettings {
  readonly settleMs: number;
  readonly suspectMs: number;
  readonly gatewaySilentMs: number;
  readonly drainTimeoutMs: number;
  /** How far the wall clocks of this process and of the stores may be apart. */
  readonly clockBoundMs: number;
  /** How long the record of a service that is gone stays while nothing in it is decided. */
  readonly forgetMs: number;
  /** How long the tombstone of a removed service stays in Redis at least. */
  readonly tombstoneMs: number;
  /** The highest version of the contract that sets may be written in. */
  readonly contractMost: ContractVersion;
}

/** What a controller consists of. */
export type Rooms = ReturnType<typeof buildRooms>;

/** Builds the rooms in the way of the data: each is given what it needs, and needs nothing that is built after it. */
export function buildRooms(given: ControllerDeps) {
  const { settings, log } = given;
  const scheduler = new Scheduler(given.clock);
  const passes = new Passes(scheduler, given.clock);
  const wake = (): void => {
    scheduler.wake();
  };
  // No room sees the process' own wall clock: all write and decide by the one that is checked.
  const clock = new CheckedClock({
    clock: given.clock,
    stores: given.storeClocks,
    boundMs: settings.clockBoundMs,
    changed: wake,
  });
  const deps = { ...given, clock, wake };
  const stores = given;

  // What comes in, and the membership that it makes.
  const inputs = new Inputs(deps);
  const writability = new Writability(deps);
  const namesakes = new Namesakes(deps);
  const desired = new DesiredState({
    ...DEFAULT_RULES,
    settle_ms: settings.settleMs,
    suspect_ms: settings.suspectMs,
  });
  const standstill = new Standstill(clock, (now) => {
    desired.paused(now);
  });

  // Office: leadership, and what is published under it.
  const settlement = new LossSettlement({ stores, membership: () => desired.membership, clock, log });
  const leadership: Leadership = new Leadership({
    ...deps,
    highestEpoch: (own) => inputs.highestEpoch(own),
    settleLoss: (term) => settlement.settle(term),
    copiedEpoch: () => copies.highestEpoch(),
  });
  const onFirstRead = (published: readonly PublishedDocument[]): void => {
    desired.remember(published, clock.monotonic());
  };
  const publication = new Publication({ ...deps, leadership, onFirstRead });
  const handover = new Handover({ ...deps, leadership });
  const following = new Following({ ...deps, onFirstRead });
  const loss = new DataLoss({
    ...{ ...deps, stores, settlement, leadership, publication, inputs, passes },
    copiedAudit: () => copies.newestAudit(),
  });
  const lost = (): string | null =>
    loss.reason ?? (settlement.accepted === null ? null : 'it is being settled');
  const copies: Copies = new Copies({
    ...{ places: given.copyPlaces, codec: given.recordCodec },
    ...{ audit: stores.audit, inputs, leadership, publication, lost, clock, log },
  });
  const authority = new Authority({ leadership, loss, inputs });
  const epochs = new EpochWatch({ inputs, leadership, publication, following, clock, settings });
  const catchUp = new CatchUp({ ...stores, inputs, desired, leadership, publication });
  const verification = new Verification(publication, clock);
  const { publisher } = deps;
  const { tombstoneMs } = settings;
  const pruning = new Pruning({ publisher, publication, leadership, clock, log, tombstoneMs });

  // What should be published, and everything that is known.
  const contract = new ContractChoice({ ...deps, inputs, publication });
  const compilation = new Compilation({ inputs, desired, publication, contract, clock });
  const problems = new ProblemLog(log);
  const holds = new HoldBook(log);
  const known = {
    stores,
    inputs,
    desired,
    contract,
    compilation,
    leadership,
    publication,
    following,
    epochs,
    problems,
    namesakes,
    holds,
    clock,
    settings,
  };
  const world = (): World => worldOf(known);

  // What changes it: people, releases step by step, and time.
  const context: CommandContext = {
    ...{ ...deps, authority, passes, inputs, compilation, world },
    queue: new ServiceQueue(clock),
  };
  const membership = () => desired.membership;
  const restoration = new Restoration({
    ...{ copies, stores, settlement, loss, authority, membership, passes, clock },
  });
  const commands = new Commands(context, loss, restoration);
  const releases = new Releases({
    ...{ ...deps, ...context, store: deps.releases, reader: deps.traffic, newId: deps.newReleaseId },
  });
  const forgetting = new Forgetting({
    ...{ ...deps, authority, known: () => inputs.releases },
    forgetMs: settings.forgetMs,
  });
  const housekeeping = new Housekeeping({ ...deps, authority, publication, desired });

  return {
    ...{ deps, scheduler, passes, clock, inputs, writability, namesakes, desired, standstill },
    ...{
      leadership,
      publication,
      following,
      handover,
      loss,
      authority,
      copies,
      epochs,
      catchUp,
      verification,
      pruning,
      compilation,
      problems,
      holds,
      world,
    },
    ...{ commands, releases, housekeeping, forgetting },
  };
}
