import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { demoInstance } from './demo_process.js';
import { freeLoopbackPort } from './ports.js';
import { marked, MARK, send, within } from './processes.js';
import type { Endpoints } from './state.js';

/*
 * The demo instances beside a local Ebbgate that runs: more of them, of other versions, and the same ones upgraded. They belong to
 * no process that stays; `ebbgate down` finds them by their mark.
 */

/** A demo instance by the registrar that runs it. */
export interface DemoMember {
  readonly id: string;
  readonly port: number;
  readonly version: string;
  /** Of the registrar: SIGTERM lets the instance leave, with a drain. */
  readonly pid: number;
}

export interface DemoPlace {
  /** State and logs of the local Ebbgate; absolute and real. */
  readonly dir: string;
  readonly endpoints: Endpoints;
  /** How to run `ebbgate`. */
  readonly ebbgate: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
}

/** As the instances of `ebbgate up`. */
const SESSION = '4s';
/** A registrar waits 30 s for its drain at most. */
const LEAVE_MS = 45_000;
const LOWEST_PORT_OFFSET = 203;

/** Every demo instance of `service` that runs here, by port. */
export function demoMembers(dir: string, service: string): readonly DemoMember[] {
  return marked(dir)
    .flatMap((pid) => memberOf(pid, service) ?? [])
    .sort((a, b) => a.port - b.port);
}

/** Starts `count` instances of `version` on free ports; one that is `bad` fails every request, and says that it is ready. */
export async function startDemo(
  place: DemoPlace,
  options: {
    readonly service: string;
    readonly version: string;
    readonly count: number;
    readonly bad?: boolean;
  },
): Promise<readonly DemoMember[]> {
  const { service, version, count, bad = false } = options;
  const gateway = Number(new URL(place.endpoints.gateways[0] ?? 'http://127.0.0.1:8080').port);
  const ports: number[] = [];
  for (let from = gateway + LOWEST_PORT_OFFSET; ports.length < count; from = (ports.at(-1) ?? from) + 1)
    ports.push(await freeLoopbackPort(from));
  // At once: a release that waits for them begins with the first.
  const begun = await Promise.allSettled(
    ports.map((port) => launchDemo(place, { service, version, port, bad })),
  );
  const started = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = begun.find((one) => one.status === 'rejected');
  if (failed === undefined) return started;
  await Promise.all(started.map(stopDemo));
  throw failed.reason;
}

/** Lets an instance leave through its registrar; resolves when both are gone. */
export async function stopDemo({ id, pid }: DemoMember): Promise<void> {
  if (!send(pid, 'SIGTERM')) return;
  if (!(await within(LEAVE_MS, () => !send(pid, 0)))) throw new Error(`the registrar of ${id} does not end`);
}

/** Upgrades one instance in place: it leaves through its registrar, and comes back under the same identity. */
export async function upgradeDemo(
  place: DemoPlace,
  member: DemoMember,
  options: { readonly service: string; readonly version: string; readonly bad?: boolean },
): Promise<DemoMember> {
  await stopDemo(member);
  return launchDemo(place, { bad: false, ...options, port: member.port });
}

async function launchDemo(
  { dir, endpoints, ebbgate, env }: DemoPlace,
  options: {
    readonly service: string;
    readonly version: string;
    readonly port: number;
    readonly bad: boolean;
  },
): Promise<DemoMember> {
  const { version, port } = options;
  const { id, registrar } = await demoInstance({
    ...{ ...options, ebbgate, session: SESSION },
    logFile: join(dir, 'instances', `${String(port)}.log`),
    env: {
      ...env,
      [MARK]: dir,
      EBBGATE_ZOOKEEPER: endpoints.zookeeper,
      EBBGATE_API: endpoints.apis.join(','),
    },
  });
  registrar.child.unref(); // it outlives whoever started it
  return { id, port, version, pid: registrar.pid };
}

/** `… register --service S --version V --host H --port N …`, as `demoInstance` starts it; undefined for any other process. */
function memberOf(pid: number, service: string): DemoMember | undefined {
  let words: readonly string[];
  try {
    words = readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8').split('\0');
  } catch {
    return undefined;
  }
  const own = words.slice(words.indexOf('register') + 1, Math.max(0, words.indexOf('--')));
  if (!words.includes('register') || !words.includes('--')) return undefined;
  const after = (flag: string): string | undefined =>
    own.includes(flag) ? own[own.indexOf(flag) + 1] : undefined;
  const [version, port] = [after('--version'), Number(after('--port'))];
  if (after('--service') !== service || version === undefined || !Number.isInteger(port)) return undefined;
  return { id: `${after('--host') ?? ''}:${String(port)}`, port, version, pid };
}
