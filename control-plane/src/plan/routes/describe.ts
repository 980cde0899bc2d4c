import type { Problem } from '../../model/problem.js';
import { ROUTES } from '../../model/names.js';
import type { RouteQuestion, RouteResource, RouteTestResource } from '../../model/route_resources.js';
import { err, ok, type Result } from '../../model/result.js';
import type { Route } from '../../model/set.js';
import type { World } from '../world.js';
import { findings, inPrecedence, type Finding } from './match.js';
import { routeName } from './name.js';
import { comparePrecedence, placeOf } from './order.js';
import { routedHost, routedPath, type RoutedRequest } from './target.js';

/** So many other routes a test shows. */
const MOST_OTHERS = 5;

/** The routes as they are published, the first that is asked first. */
export function describeRoutes({ published }: Pick<World, 'published'>): readonly RouteResource[] {
  const document = published.get(ROUTES)?.document;
  return document && 'routes' in document ? inPrecedence(document.routes).map(described) : [];
}

function described(route: Route): RouteResource {
  return { ...route, name: routeName(route) };
}

/** Which of the published routes a request takes, and why no other. */
export function testRoute(
  world: Pick<World, 'published'>,
  question: RouteQuestion,
): Result<RouteTestResource, Problem> {
  const read = readQuestion(question);
  if (!read.ok) return read;
  const request = read.value;
  const tried = describeRoutes(world).map((route) => ({ route, findings: findings(route, request) }));
  const winner = tried.find((one) => one.findings.every(({ met }) => met)) ?? null;
  const others = tried
    .filter((one) => one !== winner)
    .map((one) => ({ ...one, nearness: nearness(one.findings) }))
    .sort((a, b) => b.nearness - a.nearness)
    .slice(0, MOST_OTHERS)
    .map(({ route, findings: found }) => ({ route, why: whyNot(route, found, winner?.route ?? null) }));
  const { method, host, path, query } = request;
  return ok({
    request: { method, host, path, query },
    route: winner?.route ?? null,
    why: winner?.findings.map(({ says }) => says) ?? [],
    others,
  });
}

function readQuestion(question: RouteQuestion): Result<RoutedRequest, Problem> {
  const { method, url, headers, client } = question;
  const found = /^(?:https?:\/\/([^/?#]*))?(\/[^#]*)?/i.exec(url);
  const [, authority, target = '/'] = found ?? [];
  const given = headers.find(([name]) => name.toLowerCase() === 'host')?.[1];
  if (authority === undefined && !url.startsWith('/'))
    return err(
      refusal('must be like https://shop.example.com/api?x=1, or /api for a host that no route names'),
    );
  const path = routedPath(target);
  if (path === null)
    return err(
      refusal('has a path that a gateway answers with 400: a % without two digits, a NUL, or too many ..'),
    );
  const at = target.indexOf('?');
  return ok({
    ...{ method, client, path, host: routedHost(authority ?? given ?? '') },
    query: at < 0 ? '' : target.slice(at + 1),
    headers: headers.map(([name, value]) => [name.toLowerCase(), value.trim()] as const),
  });
}

function refusal(message: string): Problem {
  return { code: 'invalid_request', field: 'query.url', detail: `query.url ${message}` };
}

/** How much of what a route asks for is met: host before path before the others. */
function nearness(found: readonly Finding[]): number {
  const [host, path, ...others] = found;
  const met = others.length === 0 ? 1 : others.filter((one) => one.met).length / others.length;
  return (host?.met === true ? 4 : 0) + (path?.met === true ? 2 : 0) + met;
}

function whyNot(route: Route, found: readonly Finding[], winner: RouteResource | null): readonly string[] {
  const unmet = found.filter(({ met }) => !met).map(({ says }) => says);
  return unmet.length > 0 || winner === null ? unmet : [`${comesBefore(winner, route)} ${winner.name}`];
}

/** Why `winner` comes before a route that matches as well. */
function comesBefore(winner: Route, route: Route): string {
  if (winner.host !== route.host) return 'it matches; a more specific host has';
  if (placeOf(winner) !== placeOf(route)) return 'it matches; a more specific path has';
  if ((winner.priority ?? 0) !== (route.priority ?? 0)) return 'it matches; a higher priority has';
  return comparePrecedence(winner, route) < 0
    ? 'it matches; more conditions has'
    : 'it matches; by its name first is';
}
