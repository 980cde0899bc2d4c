import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ask,
  launchZooKeeper,
  reservePort,
  startTcpProxy,
  type TcpProxy,
} from '../../control-plane/src/testkit.js';
import { breakable, type Breakable } from './faults.js';
import { until } from './until.js';

/** One of three ZooKeeper servers. */
export interface Member extends Breakable {
  /** From 1. */
  readonly id: number;
  /** Where clients find it. */
  readonly port: number;
}

/** What a member says of itself; null while it serves nobody. */
export type Role = 'leader' | 'follower' | null;

/** Three ZooKeeper servers that elect a leader, each of which may be broken. With `lags`, member 1 hears the leader through doors. */
export class Ensemble implements AsyncDisposable {
  readonly #doors: TcpProxy[] = [];

  private constructor(
    readonly members: readonly Member[],
    /** To the members' ports for followers, as member 1 sees them: what is held there makes it lag. */
    readonly laggard: readonly TcpProxy[],
  ) {}

  static async start(dir: string, { lags = false } = {}): Promise<Ensemble> {
    const places = await Promise.all(
      [1, 2, 3].map(async (id) => ({
        ...{ id, port: await reservePort() },
        ...{ followers: await reservePort(), votes: await reservePort() },
      })),
    );
    // Only where it is asked for: a door answers before the next leader listens, and then the election begins again.
    const laggard = lags ? await Promise.all(places.map(({ followers }) => startTcpProxy(followers))) : [];
    const members = places.map((place): Member => {
      const home = join(dir, `zookeeper-${String(place.id)}`);
      mkdirSync(join(home, 'data'), { recursive: true });
      writeFileSync(join(home, 'data', 'myid'), String(place.id));
      const config = [
        ...['initLimit=10', 'syncLimit=6'],
        ...places.map(({ id, followers, votes }, n) => {
          const door = place.id === 1 && id !== 1 ? (laggard[n]?.port ?? followers) : followers;
          return `server.${String(id)}=127.0.0.1:${String(door)}:${String(votes)}`;
        }),
      ];
      const name = `ZooKeeper ${String(place.id)}`;
      const server = breakable(name, () => launchZooKeeper({ dir: home, port: place.port, config }));
      return Object.assign(server, { id: place.id, port: place.port });
    });
    const ensemble = new Ensemble(members, laggard);
    try {
      await Promise.all(members.map((one) => startAtLast(one)));
    } catch (error) {
      await ensemble[Symbol.asyncDispose]();
      throw error;
    }
    return ensemble;
  }

  get ports(): readonly number[] {
    return this.members.map(({ port }) => port);
  }

  /** Doors of somebody's own to all members, in their order. */
  async doors(): Promise<readonly TcpProxy[]> {
    const doors = await Promise.all(this.ports.map((port) => startTcpProxy(port)));
    this.#doors.push(...doors);
    return doors;
  }

  /** The member that leads now; waits until there is one. */
  leader(): Promise<Member> {
    return until('the ensemble has a leader', async () => {
      for (const one of this.members) if ((await roleOf(one)) === 'leader') return one;
      return undefined;
    });
  }

  /** Starts those that do not run, and waits until all serve. */
  async mend(): Promise<void> {
    await Promise.all(this.members.map(async (one) => one.running() || startAtLast(one)));
    await until('all members serve', async () => {
      for (const one of this.members) if ((await roleOf(one)) === null) return false;
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.members) await one.kill().catch(() => undefined);
    for (const door of [...this.laggard, ...this.#doors]) await door.close();
  }
}

/** ZooKeeper 3.8.0 may die of an error of its own when members start at once. */
async function startAtLast(member: Member): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await member.start();
      return;
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

async function roleOf({ port }: Member): Promise<Role> {
  for (const role of ['leader', 'follower'] as const)
    if (await ask(port, 'srvr', `Mode: ${role}`).catch(() => false)) return role;
  return null;
}
