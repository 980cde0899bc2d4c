import type { MutationResource, OperationResource } from '../../control-plane/src/testkit.js';
import { checkLedger, startClients } from './clients.js';
import type { RegisteredInstance } from './registered_instance.js';
import { describeStep, type History, type Step } from './history.js';
import { checkConfirmation, type Confirmation } from './check_confirmation.js';
import { observe } from './observer.js';
import type { ControlledPlatform } from './controlled_platform.js';
import type { Streams } from './streams.js';
import { timePasses, until, untilValue } from './until.js';

/** What came of a history. */
export interface HistoryResult {
  readonly confirmations: readonly Confirmation[];
  /** What was done when, a line each. */
  readonly diary: readonly string[];
  readonly requests: number;
  readonly failed: Streams['failed'];
  /** Sentences; empty = every promise was kept. */
  readonly broken: readonly string[];
}

/** From its beginning, a drain of a history has ended within this. */
const SETTLED_MS = 90_000;
/** How many change the same service in parallel with the history. */
const CLIENTS = 3;

interface Drain {
  readonly instance: RegisteredInstance;
  readonly operation: string;
  undrainedAt: number;
  /** Followed from the start: the record keeps only the newest operations that have ended. */
  readonly ended: Promise<OperationResource>;
}

/** Plays a history on a platform, under a service of its own, waits until everything has settled, and asks the instances. */
export async function runHistory(platform: ControlledPlatform, history: History): Promise<HistoryResult> {
  const service = `history-${String(history.seed)}`;
  const runner = new HistoryRunner(platform, service);
  try {
    return await runner.play(history);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${runner.diary.join('\n')}`, { cause: error });
  } finally {
    await runner.leave();
  }
}

class HistoryRunner {
  readonly diary: string[] = [];
  readonly #platform: ControlledPlatform;
  readonly #service: string;
  readonly #instances: RegisteredInstance[] = [];
  /** Of the clients that change the same service meanwhile; the history knows nothing of them. */
  readonly #others: RegisteredInstance[] = [];
  readonly #drains: Drain[] = [];
  readonly #thaws = new Map<number, Promise<void>>();
  readonly #began = Date.now();

  constructor(platform: ControlledPlatform, service: string) {
    this.#platform = platform;
    this.#service = service;
  }

  async play(history: History): Promise<HistoryResult> {
    for (let i = 0; i < history.instances; i += 1) await this.#startInstance(true);
    for (let i = 0; i < CLIENTS; i += 1)
      this.#others.push(await this.#platform.startInstance({ service: this.#service }));
    const path = `/${this.#service}`;
    await this.#platform.route(this.#service, path);
    const streams = [
      this.#platform.traffic({ path, rate: 40 }),
      this.#platform.traffic({ path: `${path}?delay=0.3`, rate: 15 }),
    ];
    const observer = await observe(this.#platform.ports.zookeeper, this.#service);
    const clients = startClients(this.#platform, this.#service, this.#service, this.#others);
    const broken: string[] = [];
    try {
      for (const step of history.steps) {
        this.#note(describeStep(step));
        await this.#take(step);
      }
      this.#note('all steps are taken');
      const ledger = await clients.stop();
      broken.push(...checkLedger(ledger, await observer.stop()));
      this.#note(`the clients are done: ${String(ledger.answered.length)} changes`);
      await this.#settle(history);
      this.#note('settled');
    } finally {
      await Promise.all([...this.#thaws.values()]);
      await clients.stop();
      await Promise.all(streams.map((one) => one.stop()));
    }
    const confirmations = await this.#confirmations();
    const failed = streams.flatMap((one) => one.failed());
    return {
      confirmations,
      diary: this.diary,
      requests: streams.reduce((sum, one) => sum + one.total(), 0),
      failed: () => failed,
      broken: [
        ...broken,
        ...confirmations.flatMap(checkConfirmation),
        ...failed.map(({ status, error }) => `a request failed: ${String(status)} ${error}`),
      ],
    };
  }

  async leave(): Promise<void> {
    await Promise.all([...this.#instances, ...this.#others].map((one) => one.die()));
  }

  #note(text: string): void {
    this.diary.push(`${String(Date.now() - this.#began).padStart(6)} ms  ${text}`);
  }

  async #startInstance(wait: boolean): Promise<void> {
    const one = await this.#platform.startInstance({ service: this.#service, wait });
    this.#note(`instance ${String(this.#instances.length)} is ${one.id}`);
    this.#instances.push(one);
  }

  #instance(number: number): RegisteredInstance {
    const found = this.#instances[number];
    if (found === undefined) throw new Error(`there is no instance ${String(number)}`);
    return found;
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'drain':
        return this.#drain(this.#instance(step.instance));
      case 'undrain':
        return this.#undrain(this.#instance(step.instance));
      case 'register':
        return this.#startInstance(false);
      case 'die':
        return this.#instance(step.instance).die();
      case 'freeze':
        return this.#freeze(step.gateway, step.ms);
      case 'flush':
        await this.#platform.data.flushall();
        return;
      case 'restart':
        return this.#platform.controller.restart();
      case 'wait':
        return timePasses('the history says so', step.ms);
    }
  }

  /** Asks until it is taken, with one key: the controller may just be starting, or the registration not be read yet. */
  async #drain(instance: RegisteredInstance): Promise<void> {
    const key = `${this.#service}-${String(this.#drains.length)}`;
    const operation = await until(
      `the drain of ${instance.id} is taken`,
      () => this.#platform.drain(instance.id, { service: this.#service, key }),
      { timeoutMs: 30_000, everyMs: 50 },
    );
    const ended = this.#platform.ended(operation, SETTLED_MS);
    ended.catch(() => undefined); // whoever waits for it gets the error
    this.#drains.push({ instance, operation, undrainedAt: Infinity, ended });
  }

  async #undrain(instance: RegisteredInstance): Promise<void> {
    for (const drain of this.#drains)
      if (drain.instance === instance) drain.undrainedAt = Math.min(drain.undrainedAt, Date.now());
    const path = `/v1/services/${this.#service}/instances/${encodeURIComponent(instance.id)}/undrain`;
    await until(
      `${instance.id} is given back`,
      async () => (await this.#platform.call<MutationResource>('POST', path, {})).status === 200,
      { timeoutMs: 30_000, everyMs: 50 },
    );
  }

  /** Thaws by itself; a gateway that is frozen already is thawed first. */
  async #freeze(number: number, ms: number): Promise<void> {
    await this.#thaws.get(number);
    const gateway = this.#platform.gateways[number];
    if (gateway === undefined) throw new Error(`there is no gateway ${String(number)}`);
    await gateway.freeze();
    const thaw = timePasses('it is frozen', ms).then(() => {
      gateway.thaw();
      this.#note(`gateway ${String(number)} is thawed`);
    });
    this.#thaws.set(number, thaw);
  }

  /** Waits until the published set is the model's, every gateway obeys it, and every drain has ended. */
  async #settle(history: History): Promise<void> {
    await Promise.all([...this.#thaws.values()]);
    await this.#platform.ready();
    const wanted = history.wanted
      .flatMap((state, number) => (state === 'gone' ? [] : [`${this.#instance(number).id} ${state}`]))
      .sort();
    const published = async (): Promise<readonly string[]> => {
      const { peers } = await this.#platform.published(this.#service);
      return peers
        .filter(({ id }) => !this.#others.some((other) => other.id === id))
        .map(({ id, state, weight, down }) => {
          const right = !down && weight === (state === 'up' ? 100 : 0);
          return `${id} ${state}${right ? '' : ` weight=${String(weight)} down=${String(down)}`}`;
        })
        .sort();
    };
    const same = (now: readonly string[]): boolean => now.join() === wanted.join();
    await untilValue(`the set of the model: ${wanted.join(', ')}`, published, same, { timeoutMs: 30_000 });
    await this.#platform.converged(this.#service);
    for (const { ended } of this.#drains) await ended;
  }

  async #confirmations(): Promise<readonly Confirmation[]> {
    const confirmations: Confirmation[] = [];
    for (const { instance, operation, undrainedAt, ended } of this.#drains) {
      const { result, ended_at } = await ended;
      if (result === 'drained')
        confirmations.push({ instance, operation, at: Date.parse(ended_at ?? ''), until: undrainedAt });
      else if (undrainedAt === Infinity || result !== 'superseded')
        throw new Error(`${operation} of ${instance.id} ended as ${String(result)}`);
    }
    return confirmations;
  }
}
