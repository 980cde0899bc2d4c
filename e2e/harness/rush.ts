import { Agent } from 'undici';

/** A request that came through: when, and by which gateway. */
interface Passed {
  readonly at: number;
  readonly by: number;
}

/**
 * Requests that come at random, whatever the answers are, at several gateways, and when each that was answered with 200 was
 * sent: nothing here waits for an answer before the next one is due.
 */
export class Rush implements AsyncDisposable {
  readonly passed: Passed[] = [];
  /** When each was sent, in this order. */
  readonly sent: number[] = [];
  refused = 0;
  /** Neither 200 nor 429, or no answer. */
  failed = 0;
  private readonly agents: Agent[];
  private open = 0;

  constructor(
    private readonly urls: readonly string[],
    private readonly host: string,
  ) {
    this.agents = urls.map(() => new Agent({ connections: 48, pipelining: 1 }));
  }

  /** Sends one to gateway `by`. */
  ask(by: number): void {
    const at = performance.now();
    this.open += 1;
    this.sent.push(at);
    const done = (status: number): void => {
      this.open -= 1;
      if (status === 200) this.passed.push({ at, by });
      else if (status === 429) this.refused += 1;
      else this.failed += 1;
    };
    let status = 0;
    this.agents[by]!.dispatch(
      { origin: this.urls[by]!, path: '/', method: 'GET', headers: { host: this.host } },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_, code) => {
          status = code;
        },
        onResponseData: () => undefined,
        onResponseEnd: () => done(status),
        onResponseError: () => done(0),
      },
    );
  }

  /** Sends for so long, `rate(gateway, ms since the begin)` in a second to each; resolves with when it began. */
  async run(ms: number, rate: (by: number, passed: number) => number): Promise<number> {
    const began = performance.now();
    const next = this.urls.map(() => began);
    for (let now = began; now < began + ms; now = performance.now()) {
      for (const by of this.urls.keys()) {
        const wanted = rate(by, now - began);
        if (wanted === 0) next[by] = now;
        while (wanted > 0 && next[by]! <= now) {
          this.ask(by);
          next[by]! += (-Math.log(1 - Math.random()) / wanted) * 1_000;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return began;
  }

  /** Waits until everything is answered. */
  async settled(): Promise<void> {
    while (this.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /**
   * When those were sent that one exact token bucket would have let through. Where a busy machine holds the requests back and
   * then sends them together, a limit refuses what it would not have refused of requests that come evenly: so what came
   * through is compared with this.
   */
  exact(rate: number, burst: number): readonly number[] {
    let full = 0;
    return this.sent.filter((at) => {
      const next = Math.max(full, at) + 1_000 / rate;
      if (next - at > (burst * 1_000) / rate) return false;
      full = next;
      return true;
    });
  }

  /** The longest time in which nothing was sent, from `from` on, for `ms`. */
  silence(from: number, ms: number): number {
    const times = this.sent.filter((at) => at >= from && at < from + ms);
    return Math.max(...times.map((at, i) => at - (times[i - 1] ?? from)));
  }

  /** How many came through of those that were sent from `from` on, for `ms`; by one gateway, if it is given. */
  count(from: number, ms: number, by?: number): number {
    return this.passed.filter(
      (one) => one.at >= from && one.at < from + ms && (by === undefined || one.by === by),
    ).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.destroy()));
  }
}
