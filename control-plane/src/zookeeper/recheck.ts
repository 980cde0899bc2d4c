import type { Clock, Timer } from '../model/ports.js';
import type { ZooKeeperConnection } from './connection.js';
import type { TreeMirror } from './mirror.js';
import { refusalOfOne, type Reading } from './reader.js';

export interface RecheckOptions {
  /** Between two looks at everything; up to a tenth less, so that many trees and controllers do not look at once. */
  readonly everyMs: number;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly root: string;
  readonly readingOf: (path: string) => Reading;
  readonly mirror: TreeMirror;
  readonly connection: ZooKeeperConnection;
  /** Gets the paths of nodes that are not as they are known, if there are any. */
  readonly found: (paths: readonly string[]) => void;
}

/** Refused nodes are few, and somebody may just be mending them: between two looks at everything they are looked at this often. */
const LOOKS_AT_REFUSED = 20;
/** So many of them at a time. */
const MOST_REFUSED = 1_000;
/** Few reads at once and a rest now and then: nobody waits for this, and everything else goes first. */
const PACE = { inFlight: 8, reads: 250, restMs: 20 };

/**
 * Looks now and then whether a tree is still as it is known, until it is stopped or its connection is lost. A server shows no
 * watcher of a node that its session may not read (since the fix of CVE-2024-23944), so what happened to such a
 * node is found only by looking. Changes nothing: what differs is handed on, to be read like any other change.
 */
export class Recheck {
  readonly #options: RecheckOptions;
  #timer: Timer | undefined;
  #stopped = false;
  #looks = 0;

  constructor(options: RecheckOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, everyMs, random } = this.#options;
    this.#timer = clock.after((everyMs / LOOKS_AT_REFUSED) * (1 - random() / 10), () => {
      void this.#look();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.stop();
  }

  async #look(): Promise<void> {
    this.#looks += 1;
    const { mirror, root, found } = this.#options;
    const everything = this.#looks % LOOKS_AT_REFUSED === 0;
    const paths = everything ? [root] : [...mirror.refused().keys()].slice(0, MOST_REFUSED);
    const changed = await this.#findChanged(paths, everything);
    if (!this.#current()) return;
    if (changed.length > 0) found(changed);
    this.start();
  }

  #current(): boolean {
    return !this.#stopped && this.#options.connection.alive;
  }

  /** Of `paths`, of what is known below refused ones, and with `deep` of everything known below them. */
  async #findChanged(paths: readonly string[], deep: boolean): Promise<readonly string[]> {
    const { clock, mirror } = this.#options;
    const changed: string[] = [];
    let reads = 0;
    let level = paths;
    while (level.length > 0) {
      const next: string[] = [];
      const queue = level.values();
      const work = async (): Promise<void> => {
        for (const path of queue) {
          if (!this.#current()) return;
          if (await this.#isChanged(path)) changed.push(path);
          if (deep || mirror.refusalOf(path) !== undefined) next.push(...mirror.childrenOf(path));
          reads += 1;
          if (reads % PACE.reads === 0) await clock.sleep(PACE.restMs);
        }
      };
      await Promise.all(Array.from({ length: Math.min(PACE.inFlight, level.length) }, work));
      level = next;
    }
    return changed;
  }

  /** False also where nothing can be said. */
  async #isChanged(path: string): Promise<boolean> {
    const { connection, mirror, readingOf } = this.#options;
    const reading = readingOf(path);
    if (reading === 'ignore') return false;
    const answer = await (reading === 'list' ? connection.getChildren(path) : connection.getData(path));
    const known = mirror.get(path);
    const refusal = mirror.refusalOf(path);
    if (!answer.ok) {
      if (answer.error.kind === 'no_node') return known !== undefined || refusal !== undefined;
      const refused = refusalOfOne(answer.error);
      return refused !== null && refused.reason !== refusal;
    }
    if (refusal !== undefined || known === undefined) return true;
    if ('data' in answer.value) {
      const { mzxid, numChildren } = answer.value.stat;
      return mzxid > known.mzxid || (numChildren === 0) !== (known.numChildren === 0);
    }
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = answer.value.names.map((name) => prefix + name);
    const listed = names.filter((child) => readingOf(child) !== 'ignore');
    const children = new Set(mirror.childrenOf(path));
    return listed.length !== children.size || listed.some((child) => !children.has(child));
  }
}
