import type { ContractVersion } from '../model/contract.js';
import { spellRoute } from '../model/route.js';
import type { ProblemResource } from '../model/resources.js';
import { eligible } from '../model/set.js';
import { problemKey, severityOf, type StandingProblem } from '../model/standing_problem.js';
import { findingsOf, findingsOn, panickingIn } from './describe_health.js';
import { withoutContract } from './choose_contract.js';
import { describeHolds } from './describe_holds.js';
import { describeBreaker } from './describe_breaker.js';
import { byCodeUnit, neededBy, protectedBy } from './encode.js';
import { remembered } from './incremental.js';
import { enumerate, spellFindings } from './serving.js';
import type { World } from './world.js';

/** One kind of look at the world, or a few that go together. Each problem that is there now comes out once. */
type Finder = (world: World) => readonly StandingProblem[];

const FINDERS: readonly Finder[] = [
  registrations,
  compiledAs('persistent_node'),
  takenRoutes,
  compiledAs('no_instance'),
  allVanished,
  illnesses,
  openBreakers,
  compiledAs('fell_back'),
  contracts,
  ({ found }) => found,
];

type ByService = ReadonlyMap<string | null, readonly StandingProblem[]>;
/** A world never changes, and all its services ask for the same. */
const byService = remembered((world: World): ByService => {
  const grouped = new Map<string | null, StandingProblem[]>();
  for (const finder of FINDERS)
    for (const problem of finder(world)) {
      const list = grouped.get(problem.service);
      if (list) list.push(problem);
      else grouped.set(problem.service, [problem]);
    }
  return grouped;
});

/** Everything that is wrong now, in the order of services, then of kinds and paths; what belongs to no service comes first. */
export function findProblems(world: World): readonly StandingProblem[] {
  return [...byService(world)].sort(([a], [b]) => byCodeUnit(a ?? '', b ?? '')).flatMap(([, list]) => list);
}

/** The problems of all, as the API shows them. */
export function describeProblems(world: World): readonly ProblemResource[] {
  return findProblems(world).map((problem) => describe(world, problem));
}

/** The problems of one service, as the API shows them. */
export function describeProblemsOf(world: World, service: string): readonly ProblemResource[] {
  return (byService(world).get(service) ?? []).map((problem) => describe(world, problem));
}

function describe(world: World, problem: StandingProblem): ProblemResource {
  const { code, service, instance = null, path = null, field = null, message } = problem;
  const since = new Date(world.problems_since.get(problemKey(problem)) ?? world.wall).toISOString();
  return { code, severity: severityOf(code), service, instance, path, field, message, since };
}

function registrations({ problems }: World): readonly StandingProblem[] {
  return problems.map(({ code, service, path, field, message }) => ({
    ...{ code, service, path, message },
    ...(field === '' ? {} : { field }),
  }));
}

function takenRoutes({ clashes }: World): readonly StandingProblem[] {
  return clashes.map(({ service, route, taken_by }) => ({
    code: 'route_taken',
    service,
    field: `routes ${spellRoute(route)}`,
    message: `its route ${spellRoute(route)} is taken by ${taken_by}; take it away from one of the two`,
  }));
}

/** How long a gateway may keep the contract down before it is a problem: a rolling upgrade takes its time. */
const LIMITED_MS = 600_000;

/** Gateways of which the version that sets are written in is not what it could be, or not what they understand. */
function contracts(world: World): readonly StandingProblem[] {
  const { contract, wall } = world;
  if (!contract) return [];
  const { version, most, limited_by, limited_since = null, left_behind } = contract;
  const isLimited = limited_since !== null && wall - limited_since >= LIMITED_MS;
  const old = (isLimited ? limited_by : []).map((id): StandingProblem => {
    const message = `gateway ${id} understands no contract above ${String(version)}, so all sets are written in that; upgrade it, or forget it if it is gone`;
    return { code: 'old_contract', service: null, field: id, message };
  });
  const behind = left_behind.map((id): StandingProblem => {
    const message = `gateway ${id} does not understand contract ${String(version)}, which the sets are written in: it serves what it had; run a release of it that knows a contract up to ${String(most)}`;
    return { code: 'unknown_contract', service: null, field: id, message };
  });
  return [...old, ...behind, ...refusedSets(world, version), ...refusedRoutes(world)];
}

/** Routes that say more than host and path, and gateways that refuse all routes for it. */
function refusedRoutes(world: World): readonly StandingProblem[] {
  const gateways = withoutContract(world.witnesses, 2);
  if (gateways.length === 0) return [];
  return [...world.intents].flatMap(([service, { record }]) => {
    if (protectedBy({ routes: record.spec.routes ?? [] }).length === 0) return [];
    const message = `${enumerate(gateways)} knows routes by host and path alone, and a route of ${service} says more, so no route that changes is obeyed there; upgrade, or take those routes away`;
    return [{ code: 'unknown_contract' as const, service, field: 'routes', message }];
  });
}

/** Sets that are written in a newer version than the others, because nobody may leave out what they say, and gateways that refuse them. */
function refusedSets(world: World, version: ContractVersion): readonly StandingProblem[] {
  return [...world.compiled].flatMap(([service, { set }]) => {
    if (neededBy(set) <= version) return [];
    const gateways = withoutContract(world.witnesses, neededBy(set));
    if (gateways.length === 0) return [];
    const what = protectedBy(set);
    const message = `${enumerate(gateways)} cannot enforce the ${enumerate(what)} of ${service}, so its set is refused there: what it had is served; upgrade, or take the ${enumerate(what)} away`;
    return [{ code: 'unknown_contract' as const, service, field: what[0] ?? '', message }];
  });
}

/** Services of which nobody takes requests but those that vanished: only a person, or a registration, ends that. */
function allVanished({ holds }: World): readonly StandingProblem[] {
  return [...holds].flatMap(([service, those]) =>
    those.some(({ kind }) => kind === 'last')
      ? describeHolds({ holds }, service)
          .filter(({ kind }) => kind === 'last')
          .map(({ message }) => ({ code: 'all_vanished' as const, service, message }))
      : [],
  );
}

/** What services have found to be wrong with themselves when they were compiled. */
function compiledAs(code: StandingProblem['code']): Finder {
  return ({ compiled }) => problemsIn(compiled).filter((one) => one.code === code);
}

/** The same services are asked once: most have no problem, and passes in which nothing changed are many. */
const problemsIn = remembered((compiled: World['compiled']) =>
  [...compiled.values()].flatMap(({ problems }) => problems),
);

/** Services of whose breakers an operator has said something. */
const forcedIn = remembered((intents: World['intents']) =>
  [...intents].flatMap(([service, { record }]) => (record.breaker ? [service] : [])),
);

/** Services that are left alone, on some gateways or by an operator's word. */
function openBreakers(world: World): readonly StandingProblem[] {
  const services = new Set([...findingsOf(world).breakers.keys(), ...forcedIn(world.intents)]);
  return [...services].flatMap((service): StandingProblem | [] => {
    if (!world.compiled.has(service)) return [];
    const { forced: word, gateways } = describeBreaker(world, service);
    if (word?.state === 'open') {
      const message = `its breaker was forced open by ${word.by}: ${word.reason}; ebbgate breaker ${service} auto takes that back`;
      return { code: 'breaker_open', service, message };
    }
    if (word || gateways.length === 0) return [];
    const reasons = gateways.map(({ gateway, reason }) => `${gateway} (${reason})`);
    return { code: 'breaker_open', service, message: `its breaker is open on ${enumerate(reasons)}` };
  });
}

/** Who may get requests and is out on some gateway, and the gateways that ignore health because of them. */
function illnesses(world: World): readonly StandingProblem[] {
  const findings = findingsOf(world);
  return [...new Set([...findings.out.keys(), ...findings.panic.keys()])].flatMap((service) => {
    const set = world.compiled.get(service)?.set;
    if (!set) return [];
    const out = findings.out.get(service);
    const unhealthy = [...(out?.keys() ?? [])]
      .filter((id) => set.peers.some((peer) => peer.id === id && eligible(peer)))
      .sort(byCodeUnit)
      .map((instance): StandingProblem => {
        const message = `${instance} is ${spellFindings(findingsOn(world, service, instance))}`;
        return { code: 'unhealthy', service, instance, message };
      });
    const panic = panickingIn(world, service);
    if (panic.length === 0) return unhealthy;
    const [who, verb] = panic.length === 1 ? ['gateway', 'ignores'] : ['gateways', 'ignore'];
    const message = `${who} ${enumerate(panic)} ${verb} health: too many of its instances are out`;
    return [...unhealthy, { code: 'panic', service, message }];
  });
}
