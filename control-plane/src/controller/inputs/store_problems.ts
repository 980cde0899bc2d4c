import { checkName } from '../../model/names.js';
import type { ConsumerRegistration, AnyTruthStore } from '../../model/ports.js';
import type { ProblemKind, StandingProblem } from '../../model/standing_problem.js';

/** The stores of the truth, which know what of them cannot be read. */
export interface Stores {
  readonly intents: AnyTruthStore;
  readonly releases: AnyTruthStore;
  readonly freezes: AnyTruthStore;
  readonly roster: AnyTruthStore;
  readonly consumers: Pick<ConsumerRegistration, 'refused'>;
  readonly histories: AnyTruthStore;
}

/** Every record that cannot be read as what it should be, with what follows from that and how to correct it. */
export function damagedRecords({
  intents,
  releases,
  freezes,
  roster,
  consumers,
  histories,
}: Stores): readonly StandingProblem[] {
  return [
    ...[intents, releases, freezes, roster, histories].flatMap(unreadable),
    ...damaged('damaged_intent', intents, (service) => ({ service }), {
      what: 'what was decided for it cannot be read',
      consequence: 'the last good record stays in force, and nothing new can be decided',
    }),
    ...damaged('damaged_release', releases, (service) => ({ service }), {
      what: 'its release cannot be read',
      consequence: 'nothing of it moves',
    }),
    ...damaged('damaged_freeze', freezes, () => ({}), {
      what: 'the freeze of all services cannot be read',
      consequence: 'no release begins a step',
    }),
    ...damaged('damaged_roster_entry', roster, (gateway) => ({ field: gateway }), {
      what: 'the entry of a gateway cannot be read',
      consequence: 'the gateway counts for every drain',
    }),
    ...[...consumers.refused()].map(([service, { path, reason }]) => ({
      ...{ code: 'unwritable_consumers' as const, service, path },
      message: `the controller cannot say here that it follows the service (${reason}); nothing else depends on it`,
    })),
    ...damaged('damaged_history', histories, (service) => ({ service }), {
      what: 'the history of what people did cannot be read',
      consequence: 'it is begun again with the next changes',
    }),
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
  code: ProblemKind,
  store: AnyTruthStore,
  about: (name: string) => { readonly service?: string; readonly field?: string },
  { what, consequence }: { readonly what: string; readonly consequence: string },
): readonly StandingProblem[] {
  return [...store.damaged()].map(([name, reason]) => {
    const { service = null, ...rest } = about(name);
    const isService = service !== null && checkName('service', service).ok;
    const message = `${what} (${reason}); ${consequence}; restore the node from a backup, or delete it`;
    return { code, service: isService ? service : null, ...rest, path: store.pathOf(name), message };
  });
}

/** What keeps a whole store from being read, in one sentence for /readyz; null if nothing does. */
export function storeProblem({
  intents,
  releases,
  freezes,
  roster,
}: Omit<Stores, 'consumers' | 'histories'>): string | null {
  const problem = [intents, releases, freezes, roster]
    .map((store) => store.problem())
    .find((one) => one !== null);
  return problem ? `${problem.path} may not be read (${problem.reason})` : null;
}
