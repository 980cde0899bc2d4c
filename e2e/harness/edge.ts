import { readFileSync } from 'node:fs';
import type { ServiceSet } from '../../control-plane/src/testkit.js';
import { peer } from './publish.js';
import {
  openRawClient,
  startRawInstance,
  statuses,
  type RawConnection,
  type RawInstance,
  type Talk,
} from './raw.js';
import { until, untilValue } from './until.js';
import { hostOf, Workbench } from './workbench.js';

/** A line of the access log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** What the client says: bytes, `HOST` meaning the service's; or a talk. Bytes are followed until the gateway closes. */
export type Says = string | Talk;

/** One row of a table: what the instances and the client say. */
export interface EdgeCase {
  /** One instance each, weighted equally, first come first served. */
  readonly instances: readonly Talk[];
  readonly client: Says;
  /** Whatever of the set is not usual. */
  readonly set?: Partial<ServiceSet>;
  /** How long the client's part may take; nothing waits for a timeout of the set. */
  readonly withinMs?: number;
}

/** What came of it. */
export interface Outcome {
  readonly service: string;
  /** All that the client got. */
  readonly text: string;
  /** The status codes in it. */
  readonly statuses: readonly number[];
  readonly client: RawConnection;
  readonly instances: readonly RawInstance[];
}

/**
 * One gateway and raw ends around it. Every case is a service of its own, so cases may run at once. `run` rejects if the
 * client's part hangs; `settled` gives what the gateway says of it afterwards.
 */
export class Edge implements AsyncDisposable {
  private readonly started: RawInstance[] = [];
  private count = 0;
  private constructor(readonly bench: Workbench) {}

  static async start(options: Parameters<typeof Workbench.start>[0] = {}): Promise<Edge> {
    return new Edge(await Workbench.start(options));
  }

  async run({ instances, client, set = {}, withinMs = 4_000 }: EdgeCase): Promise<Outcome> {
    const service = `edge${(this.count += 1)}`;
    const raw = await Promise.all(instances.map((talk) => startRawInstance(talk)));
    this.started.push(...raw);
    await this.bench.serve(
      service,
      raw.map((one) => peer(one)),
      { retry: { tries: 2, budget_percent: 100 }, ...set },
    );
    const line = await openRawClient(this.bench.place.port);
    if (typeof client === 'string') {
      line.send(client.replaceAll('HOST', hostOf(service)));
      await line.closed(withinMs);
    } else {
      await client(named(line, service), 1);
    }
    return { service, text: line.text, statuses: statuses(line.text), client: line, instances: raw };
  }

  /**
   * Waits until nothing of the case is in flight, its requests are counted, and `lines` lines of its service are in the access log; resolves with
   * them. Every line must be JSON.
   */
  async settled({ service, client }: Outcome, lines = 1): Promise<readonly LogLine[]> {
    client.halfClose();
    await until('nothing in flight', async () => !(await this.metrics('ebbgate_in_flight', service)).length);
    // Each worker adds to the counters once a second.
    await until('counted', async () => (await this.sum('ebbgate_requests_total', service)) >= lines);
    return untilValue(
      `${lines} lines of ${service}`,
      () => this.log(service),
      (found) => found.length >= lines,
    );
  }

  /** The lines of the access log about the service. */
  log(service: string): readonly LogLine[] {
    return readFileSync(this.bench.gateway.accessLog, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"${service}"`))
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** The samples of a metric that name the service. */
  async metrics(name: string, service: string): Promise<readonly string[]> {
    const { text } = await this.bench.admin('/metrics');
    const label = `service="${service}"`;
    return text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label));
  }

  /** The sum of those samples. */
  async sum(name: string, service: string, label = ''): Promise<number> {
    const samples = (await this.metrics(name, service)).filter((line) => line.includes(label));
    return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
    for (const one of this.started) await one.stop();
  }
}

/** The connection, whose sent texts may say `HOST`. */
function named(line: RawConnection, service: string): RawConnection {
  const send = line.send.bind(line);
  line.send = (data) => send(typeof data === 'string' ? data.replaceAll('HOST', hostOf(service)) : data);
  return line;
}
