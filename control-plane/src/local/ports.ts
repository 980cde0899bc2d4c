import { createServer } from 'node:net';
import { err, ok, type Result } from '../model/result.js';

/** Every port of a local Ebbgate, all on 127.0.0.1. */
export interface PortPlan {
  readonly gateways: readonly number[];
  readonly admin: readonly number[];
  /** The control API of each controller. */
  readonly apis: readonly number[];
  readonly zookeeper: number;
  readonly redis: number;
  readonly instances: readonly number[];
}

export const DEFAULT_BASE_PORT = 8080;
export const DEFAULT_CONTROLLERS = 2;
const API = 10;
const MOST_CONTROLLERS = 5;
const ADMIN = 100;
const INSTANCES = 200;
const ZOOKEEPER = 4_101;
const REDIS = 8_299;
const MOST_INSTANCES = 100;
const LOWEST_BASE = 1_024;
const HIGHEST_BASE = 65_535 - REDIS;

/**
 * Lays the ports out from `base`: gateways base + 0 …, control APIs base + 10 …, admin listeners base + 100 …, demo instances
 * base + 200 …, ZooKeeper base + 4101, Redis base + 8299; base 8080 gives 8080, 8090 and 8091, 8180, 8280, 12181, 16379.
 * A failure names the flag.
 */
export function planPorts(
  base: number,
  gateways: number,
  instances: number,
  controllers = DEFAULT_CONTROLLERS,
): Result<PortPlan, string> {
  if (base < LOWEST_BASE || base > HIGHEST_BASE)
    return err(`--base-port must be from ${String(LOWEST_BASE)} to ${String(HIGHEST_BASE)}`);
  if (gateways < 1 || gateways > API) return err(`--gateways must be from 1 to ${String(API)}`);
  if (instances < 0 || instances > MOST_INSTANCES)
    return err(`--instances must be from 0 to ${String(MOST_INSTANCES)}`);
  if (controllers < 1 || controllers > MOST_CONTROLLERS)
    return err(`--controllers must be from 1 to ${String(MOST_CONTROLLERS)}`);
  const from = (first: number, count: number): readonly number[] =>
    Array.from({ length: count }, (_, index) => first + index);
  return ok({
    gateways: from(base, gateways),
    admin: from(base + ADMIN, gateways),
    apis: from(base + API, controllers),
    zookeeper: base + ZOOKEEPER,
    redis: base + REDIS,
    instances: from(base + INSTANCES, instances),
  });
}

/** One sentence per port of the plan that cannot be listened on now, with what wanted it. */
export async function takenPorts(plan: PortPlan): Promise<readonly string[]> {
  const wanted: readonly (readonly [number, string])[] = [
    ...plan.gateways.map((port, index) => [port, gatewayName(index)] as const),
    ...plan.admin.map((port, index) => [port, `the admin listener of ${gatewayName(index)}`] as const),
    ...plan.apis.map((port, index) => [port, `the control API of ${controllerName(index)}`] as const),
    [plan.zookeeper, 'ZooKeeper'],
    [plan.redis, 'Redis'],
    ...plan.instances.map((port, index) => [port, `demo instance ${String(index + 1)}`] as const),
  ];
  const answers = await Promise.all(
    wanted.map(async ([port, who]) => {
      const problem = await listenProblem(port);
      return problem === undefined ? [] : [`port ${String(port)} ${problem}; ${who} wants it`];
    }),
  );
  return answers.flat();
}

/** `gateway-1`, `gateway-2`, … */
export function gatewayName(index: number): string {
  return `gateway-${String(index + 1)}`;
}

/** `controller-1`, `controller-2`, … */
export function controllerName(index: number): string {
  return `controller-${String(index + 1)}`;
}

function listenProblem(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${error.message})`);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}

/** True if nobody listens on that port of 127.0.0.1 now. */
export async function isFree(port: number): Promise<boolean> {
  return (await listenProblem(port)) === undefined;
}

/** The first port from `from` on that can be listened on now. */
export async function freeLoopbackPort(from: number): Promise<number> {
  for (let port = from; port <= 65_535; port += 1) if (await isFree(port)) return port;
  throw new Error(`no port from ${String(from)} on is free`);
}
