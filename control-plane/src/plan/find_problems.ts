import type { ProblemResource } from '../model/resources.js';
import { eligible } from '../model/set.js';
import { problemKey, severityOf, type StandingProblem } from '../model/standing_problem.js';
import { findingsOf, findingsOn, panickingIn } from './describe_health.js';
import { byCodeUnit } from './encode.js';
import { enumerate, spellFindings } from './serving.js';
import { spellFallback } from './compile.js';
import { recordIn, type World } from './world.js';

/** One kind of look at the world, or a few that go together. Each problem that is there now comes out once. */
type Finder = (world: World) => readonly StandingProblem[];

const FINDERS: readonly Finder[] = [
  registrations,
  persistentNodes,
  takenRoutes,
  emptyServices,
  illnesses,
  fallbacks,
  ({ found }) => found,
];

type ByService = ReadonlyMap<string | null, readonly StandingProblem[]>;
/** A world never changes, and all its services ask for the same. */
const known = new WeakMap<World, ByService>();

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

function byService(world: World): ByService {
  const before = known.get(world);
  if (before) return before;
  const grouped = new Map<string | null, StandingProblem[]>();
  for (const finder of FINDERS)
    for (const problem of finder(world)) {
      const list = grouped.get(problem.service);
      if (list) list.push(problem);
      else grouped.set(problem.service, [problem]);
    }
  known.set(world, grouped);
  return grouped;
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
    field: `routes ${route.host} ${route.path}`,
    message: `its route ${route.host} ${route.path} is taken by ${taken_by}; take it away from one of the two`,
  }));
}

function emptyServices(world: World): readonly StandingProblem[] {
  const found: StandingProblem[] = [];
  for (const [service, { record }] of world.intents) {
    if ((record.spec.routes ?? []).length === 0) continue;
    if (world.compiled.get(service)?.set.peers.some(eligible) === true) continue;
    const message = 'it has a route and no instance that takes requests';
    found.push({ code: 'no_instance', service, message });
  }
  return found;
}

/** Services whose version before serves, because nobody of those with a share can. */
function fallbacks(world: World): readonly StandingProblem[] {
  return [...world.compiled].flatMap(([service, { fallback }]) =>
    fallback === null
      ? []
      : [{ code: 'fell_back' as const, service, message: spellFallback(recordIn(world, service), fallback) }],
  );
}

/** Who may get requests and is out on some gateway, and the gateways that ignore health because of them. */
function illnesses(world: World): readonly StandingProblem[] {
  return [...world.compiled].flatMap(([service, { set }]) => {
    const out = findingsOf(world).out.get(service);
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

/** One for all of a service: a fleet may be registered so on purpose. */
function persistentNodes({ membership }: World): readonly StandingProblem[] {
  return [...membership].flatMap(([service, members]): readonly StandingProblem[] => {
    const paths = [...members.values()].flatMap(({ presence, registration: { persistent, path } }) =>
      presence === 'present' && persistent ? path : [],
    );
    if (paths.length === 0) return [];
    const [first = ''] = paths;
    const which = paths.length === 1 ? first : `${String(paths.length)} nodes, like ${first},`;
    const message = `registered by persistent nodes (${which}): nothing removes them when their process dies`;
    // The folder of the first: it stays the same while nodes come and go.
    const path = first.slice(0, Math.max(first.lastIndexOf('/'), 0));
    return [{ code: 'persistent_node', service, path, message }];
  });
}
