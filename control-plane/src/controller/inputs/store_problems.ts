import { checkName } from '../../model/names.js';
import type { ConsumerRegistration, AnyTruthStore } from '../../model/ports.js';
import type { ProblemKind, StandingProblem } from '../../model/standing_problem.js';

/** The stores of the truth, which know what of them cannot be read. */
interface TruthStores {
  readonly intents: AnyTruthStore;
  readonly releases: AnyTruthStore;
  readonly freezes: AnyTruthStore;
  readonly roster: AnyTruthStore;
  readonly histories: AnyTruthStore;
  readonly tokens: AnyTruthStore;
  readonly apiConsumers: AnyTruthStore;
}

export interface Stores extends TruthStores {
  readonly consumers: Pick<ConsumerRegistration, 'refused'>;
  /** What is wrong with the right to use the stores. */
  readonly accessProblems: () => readonly StandingProblem[];
}

/** What it means that a record of a store is damaged. */
interface Damage {
  readonly code: ProblemKind;
  /** What the name of its record is: that of a service, or of what the problem is about. */
  readonly names: 'service' | 'field' | null;
  readonly what: string;
  readonly consequence: string;
}

const DAMAGE: Readonly<Record<keyof TruthStores, Damage>> = {
  intents: {
    ...{ code: 'damaged_intent', names: 'service' },
    what: 'what was decided for it cannot be read',
    consequence: 'the last good record stays in force, and nothing new can be decided',
  },
  releases: {
    ...{ code: 'damaged_release', names: 'service' },
    what: 'its release cannot be read',
    consequence: 'nothing of it moves',
  },
  freezes: {
    ...{ code: 'damaged_freeze', names: null },
    what: 'the freeze of all services cannot be read',
    consequence: 'no release begins a step',
  },
  roster: {
    ...{ code: 'damaged_roster_entry', names: 'field' },
    what: 'the entry of a gateway cannot be read',
    consequence: 'the gateway counts for every drain',
  },
  histories: {
    ...{ code: 'damaged_history', names: 'service' },
    what: 'the history of what people did cannot be read',
    consequence: 'it is begun again with the next changes',
  },
  tokens: {
    ...{ code: 'damaged_token', names: 'field' },
    what: 'a token cannot be read',
    consequence: 'nobody gets in by it',
  },
  apiConsumers: {
    ...{ code: 'damaged_consumer', names: 'field' },
    what: 'a consumer cannot be read',
    consequence: 'its keys stay as they were published, and nothing new can be decided for it',
  },
};

const KINDS = Object.keys(DAMAGE) as readonly (keyof TruthStores)[];

/** Every record that cannot be read as what it should be, or may not be, with what follows from that and how to correct it. */
export function damagedRecords(stores: Stores): readonly StandingProblem[] {
  return [
    ...stores.accessProblems(),
    ...KINDS.flatMap((kind) => unreadable(stores[kind])),
    ...KINDS.flatMap((kind) => damaged(stores[kind], DAMAGE[kind])),
    ...[...stores.consumers.refused()].map(([service, { path, reason }]) => ({
      ...{ code: 'unwritable_consumers' as const, service, path },
      message: `the controller cannot say here that it follows the service (${reason}); nothing else depends on it`,
    })),
  ];
}

function unreadable(store: AnyTruthStore): readonly StandingProblem[] {
  const problem = store.problem();
  if (problem === null) return [];
  const { path, reason } = problem;
  const message = `the controller may not read this node (${reason}); what was read of it before stays in force; give the controller READ on it`;
  return [{ code: 'unreadable_store', service: null, path, message }];
}

function damaged(
  store: AnyTruthStore,
  { code, names, what, consequence }: Damage,
): readonly StandingProblem[] {
  return [...store.damaged()].map(([name, reason]) => {
    const service = names === 'service' && checkName('service', name).ok ? name : null;
    const message = `${what} (${reason}); ${consequence}; ${remedyOf(reason)}`;
    return {
      code,
      service,
      ...(names === 'field' ? { field: name } : {}),
      path: store.pathOf(name),
      message,
    };
  });
}

function remedyOf(reason: string): string {
  return reason.endsWith('written by a newer release')
    ? 'let a controller of that release lead, or undo there what this one does not know'
    : 'restore the node from a backup, or delete it';
}

/** What keeps a whole store from being read, in one sentence for /readyz; null if nothing does. */
export function storeProblem(
  stores: Omit<Stores, 'consumers' | 'histories' | 'accessProblems'>,
): string | null {
  const { intents, releases, freezes, roster, tokens, apiConsumers } = stores;
  const problem = [intents, releases, freezes, roster, tokens, apiConsumers]
    .map((store) => store.problem())
    .find((one) => one !== null);
  return problem ? `${problem.path} may not be read (${problem.reason})` : null;
}
