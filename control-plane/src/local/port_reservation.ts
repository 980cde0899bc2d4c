import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { isFree, planPorts, type PortPlan } from './ports.js';

/*
 * Ports for servers that a test, a benchmark or a script starts. A port that was free when somebody looked is not
 * reserved: the next process that looks finds it free too. So each port has a lock, which all processes of the machine
 * see: a Unix socket in the abstract namespace. Like the port it belongs to the network namespace, so containers that share
 * the ports share the locks. The kernel takes it away when its owner ends, however it ends.
 */

/** Above the ports that services use. */
const LOWEST = 17_000;
/** Linux gives outgoing connections ports from here on, where nothing else is set. */
const EPHEMERAL = 32_768;
/** What there must be at least: a machine whose outgoing connections take nearly every port is used from LOWEST on all the same. */
const LEAST = 2_000;

/** Ports, `to` not included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** What is given: ports below those of outgoing connections, so that a server that was stopped finds its port free. */
export function portRange(): PortRange {
  const ephemeral = firstEphemeral();
  return { from: LOWEST, to: ephemeral >= LOWEST + LEAST ? Math.min(ephemeral, EPHEMERAL) : EPHEMERAL };
}

/**
 * A port of 127.0.0.1 on which nobody listens, and which no other process is given until this one ends. Throws if there
 * is none.
 */
export async function reservePort(range = portRange()): Promise<number> {
  for (const port of fromAnywhere(range)) if (await reserveAll([port])) return port;
  throw new Error(`no port from ${String(range.from)} to ${String(range.to - 1)} is free`);
}

/** A base port, and the plan laid out from it, with every port of the plan reserved as `reservePort` does. */
export async function reservePlan(
  gateways: number,
  instances: number,
): Promise<{ readonly base: number; readonly plan: PortPlan }> {
  const range = portRange();
  for (const base of fromAnywhere(range)) {
    const planned = planPorts(base, gateways, instances);
    if (!planned.ok) throw new Error(planned.error);
    const ports = Object.values(planned.value).flat() as readonly number[];
    if (ports.every((port) => port < range.to) && (await reserveAll(ports)))
      return { base, plan: planned.value };
  }
  throw new Error('no base port has its whole plan free');
}

/** Every port of the range once, from a random one on: processes that ask at once seldom meet. */
function* fromAnywhere({ from, to }: PortRange): Generator<number> {
  const size = to - from;
  const first = Math.floor(Math.random() * size);
  for (let step = 0; step < size; step += 1) yield from + ((first + step) % size);
}

/** All of them or none. */
async function reserveAll(ports: readonly number[]): Promise<boolean> {
  const locks: Server[] = [];
  for (const port of ports) {
    const lock = await lockPort(port);
    if (lock !== undefined) locks.push(lock);
    if (lock === undefined || !(await isFree(port))) {
      for (const one of locks) one.close();
      return false;
    }
  }
  return true;
}

/** The lock of a port; undefined while another one has it. It keeps no process alive. */
function lockPort(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    lock.listen(lockName(port), () => {
      lock.unref();
      resolve(lock);
    });
  });
}

/** As long as an address can be: versions of Node fill up a shorter one differently, and must mean the same lock. */
function lockName(port: number): string {
  return `\0${`ebbgate-port-${String(port)}-`.padEnd(107, '-')}`;
}

function firstEphemeral(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
  } catch {
    return EPHEMERAL;
  }
}
