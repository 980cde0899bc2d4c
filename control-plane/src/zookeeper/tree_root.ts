import type { NodeStat } from './protocol.js';

/**
 * Which root a tree was read below, and up to which transaction: so that a ZooKeeper that was wiped, restored from an older copy, or
 * went back is noticed.
 */
export class TreeRoot {
  readonly #path: string;
  #stat: Pick<NodeStat, 'czxid' | 'pzxid' | 'ctime'> | undefined;
  #newestZxid = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** True once the root was found. */
  get isKnown(): boolean {
    return this.#stat !== undefined;
  }

  /** The next look is a first contact. */
  forget(): void {
    this.#stat = undefined;
    this.#newestZxid = '';
  }

  /** What transactions of `zxid` mean: a sentence if ZooKeeper has seen newer ones. */
  lossAt(zxid: string): string | undefined {
    if (zxid >= this.#newestZxid) return undefined;
    return `ZooKeeper went back: it is at transaction ${zxid}, ${this.#newestZxid} was seen before`;
  }

  /** Everything up to `zxid` has been read. */
  sawUpTo(zxid: string): void {
    if (zxid > this.#newestZxid) this.#newestZxid = zxid;
  }

  /**
   * What was lost if the root is `stat` now (null = there is none); else remembers it. A wiped server counts its transactions from the
   * start again, so the root's birth time is part of its identity.
   */
  compare(stat: NodeStat | null): string | undefined {
    if (stat === null) return `${this.#path} does not exist`;
    const loss = this.#lossOf(stat);
    if (loss === undefined) this.#stat = stat;
    return loss;
  }

  #lossOf(stat: NodeStat): string | undefined {
    if (this.#stat === undefined) return undefined;
    // One that was put back may have come past the newest transaction again by what others wrote to it meanwhile.
    if (stat.czxid === this.#stat.czxid && stat.ctime === this.#stat.ctime)
      return stat.pzxid < this.#stat.pzxid
        ? `ZooKeeper went back: ${this.#path} is older than it was`
        : undefined;
    return `${this.#path} was created again (transaction ${stat.czxid}, before ${this.#stat.czxid})`;
  }
}
