import type { RouteActions } from './route_actions.js';
import type { Fault } from './shape.js';

/** Headers that the gateway decides on: they frame messages, are about one connection, or say who the client is. */
const OWNED = new Set([
  ...[
    'host',
    'content-length',
    'transfer-encoding',
    'connection',
    'upgrade',
    'te',
    'trailer',
    'keep-alive',
    'expect',
  ],
  ...[
    'proxy',
    'proxy-connection',
    'proxy-authorization',
    'proxy-authenticate',
    'http2-settings',
    'forwarded',
    'via',
  ],
  ...['x-real-ip', 'x-request-id', 'date', 'server'],
]);

function isOwned(name: string): boolean {
  return (
    OWNED.has(name) ||
    name.startsWith('x-forwarded-') ||
    name.startsWith('x-ebbgate-') ||
    name.startsWith('x-accel-')
  );
}

/** What of the actions does not go together, each with the path of its member. */
export function actionContradictions(route: RouteActions): readonly Fault[] {
  const { redirect, cors, rewrite_prefix: rewrite } = route;
  const faults: Fault[] = [];
  const say = (path: string, message: string): void => {
    faults.push({ path: path.split('.'), message });
  };
  for (const side of ['request_headers', 'response_headers'] as const) {
    const { set = [], add = [], remove = [] } = route[side] ?? {};
    const named = [
      ...set.map(({ name }, index) => [`set.${String(index)}.name`, name] as const),
      ...add.map(({ name }, index) => [`add.${String(index)}.name`, name] as const),
      ...remove.map((name, index) => [`remove.${String(index)}`, name] as const),
    ];
    for (const [path, name] of named)
      if (isOwned(name))
        say(
          `${side}.${path}`,
          `must not be ${name}: the gateway decides on it, since it is about the message, the connection or the client`,
        );
  }
  if (redirect) {
    const { scheme, host, path, prefix, status = 308 } = redirect;
    if (![301, 302, 303, 307, 308].includes(status))
      say('redirect.status', 'must be 301, 302, 303, 307 or 308');
    if ([scheme, host, path, prefix].every((one) => one === undefined))
      say(
        'redirect',
        'must have one of scheme, host, path and prefix, or it would send requests to where they are',
      );
    if (path !== undefined && prefix !== undefined)
      say('redirect.prefix', 'must be left out with path, which replaces all of the path');
    if (rewrite !== undefined && scheme === undefined)
      say('rewrite_prefix', 'must be left out with a redirect, of which the service gets nothing');
  }
  if (cors?.origins.length === 0) say('cors.origins', 'must contain at least one origin, or leave cors out');
  if (cors?.credentials === true && cors.origins.includes('*'))
    say('cors.credentials', 'must be left out with the origin *: browsers refuse that. Name the origins');
  return faults;
}
