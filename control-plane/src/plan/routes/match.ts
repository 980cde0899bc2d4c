import { isWithinNetworks, parseNetwork } from '../../model/network.js';
import { compilePattern } from '../../model/pattern.js';
import type { ValueCondition } from '../../model/route.js';
import type { Route } from '../../model/set.js';
import { byCodeUnit } from '../encode.js';
import { routeName } from './name.js';
import { comparePrecedence } from './order.js';
import { firstArgument, headerValue, type RoutedRequest } from './target.js';

/** One condition of a route on a request: whether it is met, and a sentence. */
export interface Finding {
  readonly met: boolean;
  readonly says: string;
}

/** The routes in the order in which a gateway asks them: the first that matches has the request. */
export function inPrecedence(routes: readonly Route[]): readonly Route[] {
  return [...routes].sort(
    (a, b) =>
      comparePrecedence(a, b) ||
      byCodeUnit(a.host, b.host) ||
      byCodeUnit(a.path, b.path) ||
      byCodeUnit(a.service, b.service) ||
      byCodeUnit(routeName(a), routeName(b)),
  );
}

/** The route of a request, or null. */
export function matchRoute(routes: readonly Route[], request: RoutedRequest): Route | null {
  return inPrecedence(routes).find((route) => findings(route, request).every(({ met }) => met)) ?? null;
}

/** What each condition of a route says of a request, host and path first. */
export function findings(route: Route, request: RoutedRequest): readonly Finding[] {
  const { regex, methods = [], headers = [], query = [], clients = [] } = route;
  return [
    hostFinding(route.host, request.host),
    pathFinding(route, request.path),
    ...(regex === undefined
      ? []
      : [
          finding(
            compilePattern(regex)(request.path),
            `the path matches ${regex}`,
            `the path does not match ${regex}`,
          ),
        ]),
    ...(methods.length === 0 ? [] : [methodFinding(methods, request.method)]),
    ...headers.map((one) => valueFinding(one, headerValue(request.headers, one.name), 'header')),
    ...query.map((one) => valueFinding(one, firstArgument(request.query, one.name), 'query argument')),
    ...(clients.length === 0 ? [] : [clientFinding(clients, request.client)]),
  ];
}

function finding(met: boolean, yes: string, no: string): Finding {
  return { met, says: met ? yes : no };
}

function hostFinding(wanted: string, host: string): Finding {
  if (wanted === '*') return { met: true, says: 'any host' };
  if (!wanted.startsWith('*.'))
    return finding(host === wanted, `the host is ${wanted}`, `the host is not ${wanted}`);
  const suffix = wanted.slice(1);
  const met = host.endsWith(suffix);
  return finding(met, `the host ends with ${suffix}`, `the host does not end with ${suffix}`);
}

function pathFinding({ path: wanted, match }: Route, path: string): Finding {
  if (match === 'exact')
    return finding(path === wanted, `the path is ${wanted}`, `the path is not ${wanted}`);
  const met = wanted === '/' ? path.startsWith('/') : path === wanted || path.startsWith(`${wanted}/`);
  return finding(met, `the path is below ${wanted}`, `the path is not below ${wanted}`);
}

function methodFinding(methods: readonly string[], method: string): Finding {
  const list = methods.join(', ');
  return finding(methods.includes(method), `the method is one of ${list}`, `the method is none of ${list}`);
}

function clientFinding(clients: readonly string[], client: string | null): Finding {
  const list = clients.join(', ');
  const address = client === null ? null : parseNetwork(client);
  const networks = clients.flatMap((one) => parseNetwork(one) ?? []);
  const met = address !== null && isWithinNetworks(networks, address);
  const unknown = client === null ? ' (its address is not known)' : '';
  return finding(met, `the client is within ${list}`, `the client is not within ${list}${unknown}`);
}

function valueFinding(condition: ValueCondition, value: string | null, what: string): Finding {
  const { name, exact, prefix, regex, present } = condition;
  const it = `${what} ${name}`;
  if (present === false) return finding(value === null, `there is no ${it}`, `there is a ${it}`);
  if (value === null) return { met: false, says: `there is no ${it}` };
  if (present === true) return { met: true, says: `there is a ${it}` };
  if (exact !== undefined) return finding(value === exact, `${it} is ${exact}`, `${it} is not ${exact}`);
  if (prefix !== undefined)
    return finding(
      value.startsWith(prefix),
      `${it} begins with ${prefix}`,
      `${it} does not begin with ${prefix}`,
    );
  if (regex === undefined) return { met: false, says: `${it} has no condition` };
  return finding(compilePattern(regex)(value), `${it} matches ${regex}`, `${it} does not match ${regex}`);
}
