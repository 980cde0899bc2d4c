import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { systemClock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchZooKeeper, type ZooKeeperOptions } from '../local/zookeeper.js';
import { connect, type ZooKeeperConnection } from '../zookeeper/connection.js';
import { ZooKeeperLink, type ZooKeeperLinkOptions } from '../zookeeper/link.js';
import { createRecordingLog } from './log.js';
import { must } from './must.js';
import { until } from './until.js';

/** What is different from a usual link; `to` is a port other than that of the server. */
type LinkChanges = Partial<Omit<ZooKeeperLinkOptions, 'connect'>> & { readonly to?: number };

/** The ZooKeeper of a test file, and what a test opens over it. */
class ZooKeeperRig {
  readonly dir = mkdtempSync(join(tmpdir(), 'ebbgate-zookeeper-'));
  readonly #opened: { close(): unknown }[] = [];
  readonly #options: (dir: string) => Promise<Partial<ZooKeeperOptions>>;
  #paths = 0;
  port = 0;
  server!: LocalProcess;
  /** Of this test's links. */
  log = createRecordingLog();

  constructor(options: (dir: string) => Promise<Partial<ZooKeeperOptions>>) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.port = await reservePort();
    await this.launch();
  }

  /** Starts the server, the first time or with the data that it had. */
  async launch(): Promise<void> {
    this.server = await launchZooKeeper({
      ...{ dir: this.dir, port: this.port },
      ...(await this.#options(this.dir)),
    });
  }

  async close(): Promise<void> {
    await this.server.stop();
    rmSync(this.dir, { recursive: true });
  }

  async end(): Promise<void> {
    this.server.kill('SIGCONT');
    for (const one of this.#opened.splice(0).toReversed()) await one.close();
    this.log = createRecordingLog();
  }

  /** Stops the server; resolves once every thread of it is stopped, so that nothing is answered any more. */
  async freeze(): Promise<void> {
    this.server.kill('SIGSTOP');
    const threads = `/proc/${String(this.server.pid)}/task`;
    await until(() => {
      for (const thread of readdirSync(threads))
        expect(readFileSync(`${threads}/${thread}/stat`, 'utf8')).toMatch(/\) T /);
    });
  }

  /** A path that no other test has. */
  path(prefix: string): string {
    this.#paths += 1;
    return `/${prefix}-${String(this.#paths)}`;
  }

  /** Closes `one` after the test, the newest first. */
  open<T extends { close(): unknown }>(one: T): T {
    this.#opened.push(one);
    return one;
  }

  /** A link that is not started. */
  link({ to = this.port, ...changes }: LinkChanges = {}): ZooKeeperLink {
    const usual = { sessionTimeoutMs: 6_000, log: this.log, clock: systemClock, random: Math.random };
    return this.open(new ZooKeeperLink({ connect: `127.0.0.1:${String(to)}`, ...usual, ...changes }));
  }

  async connectedLink(changes?: LinkChanges): Promise<ZooKeeperLink> {
    const link = this.link(changes);
    await link.start();
    await until(() => expect(link.connection).not.toBeNull());
    return link;
  }

  /** A session of its own. */
  async connection(to = this.port, sessionTimeoutMs = 30_000): Promise<ZooKeeperConnection> {
    const server = { host: '127.0.0.1', port: to };
    const options = { server, sessionTimeoutMs, connectTimeoutMs: 10_000, clock: systemClock };
    return this.open(await must(connect(options)));
  }
}

/** Starts a ZooKeeper for all tests of a file, and closes after each what it opened; `options` makes it another than usual. */
export function useZooKeeper(
  options: (dir: string) => Promise<Partial<ZooKeeperOptions>> = () => Promise.resolve({}),
): ZooKeeperRig {
  const rig = new ZooKeeperRig(options);
  beforeAll(() => rig.start());
  afterAll(() => rig.close());
  afterEach(() => rig.end());
  return rig;
}
