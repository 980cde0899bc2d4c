import {
  hasEnded,
  type ReleaseEvent,
  type ReleaseOutcome,
  type ReleaseResource,
  type ReleaseState,
} from '../../control-plane/src/testkit.js';
import type { RegisteredInstance } from './registered_instance.js';
import type { ControlledPlatform } from './controlled_platform.js';
import type { Streams } from './streams.js';
import { releaseCalls } from './release_calls.js';
import { until } from './until.js';

/*
 * Weighted releases that can be brought into any phase of any step, and stay there until they are let go: each phase waits for
 * something, and that something is withheld.
 */

const LONG = { timeoutMs: 60_000 };

export const STOPPED_PHASES = [
  'preparing',
  'applying',
  'converging',
  'warming',
  'soaking',
  'analysing',
  'paused',
] as const;
export type StoppedPhase = (typeof STOPPED_PHASES)[number];

/** The weights of the steps; each comes after a pause for a person. */
export const WEIGHTS = [20, 60, 100] as const;

/** A phase of the nth weight, counted from 0. */
export interface Moment {
  readonly phase: StoppedPhase;
  readonly weight: number;
}

/** Every phase of every step that can be kept there: before the first weight, at each, and at each soak after one. */
export const EVERY_MOMENT: readonly Moment[] = [
  { phase: 'preparing', weight: 0 },
  ...WEIGHTS.flatMap((_, weight) =>
    STOPPED_PHASES.filter((phase) => phase !== 'preparing').map((phase) => ({ phase, weight })),
  ),
];

/** `count` of the moments, none twice, as the seed draws them. */
export function drawMoments(seed: number, count: number): readonly Moment[] {
  const left = [...EVERY_MOMENT];
  let state = seed;
  const drawn: Moment[] = [];
  while (drawn.length < count) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    drawn.push(...left.splice(Math.floor((state / 2_147_483_648) * left.length), 1));
  }
  return drawn;
}

/** A service of its own with two instances of v1, its release, and its traffic, which may not fail. */
export class Staged {
  readonly #v2: RegisteredInstance[] = [];
  readonly #calls = releaseCalls(() => this.platform);
  id = '';

  private constructor(
    readonly platform: ControlledPlatform,
    readonly service: string,
    readonly traffic: Streams,
  ) {}

  /** Traffic goes through the first gateway: the others are broken on purpose. */
  static async create(platform: ControlledPlatform, service: string, rate = 60): Promise<Staged> {
    await Promise.all([platform.startInstance({ service }), platform.startInstance({ service })]);
    await platform.route(service, `/${service}`);
    const traffic = platform.traffic({ path: `/${service}`, rate }, platform.gateways.slice(0, 1));
    return new Staged(platform, service, traffic);
  }

  async start(body: object): Promise<string> {
    this.id = await this.#calls.start(this.service, body);
    return this.id;
  }
  read(id = this.id): Promise<ReleaseResource> {
    return this.#calls.read(id);
  }
  events(): Promise<readonly ReleaseEvent[]> {
    return this.#calls.events(this.id);
  }
  reached(what: (release: ReleaseResource) => boolean): Promise<ReleaseResource> {
    return this.#calls.reached(this.id, what);
  }
  ended(state: ReleaseState): Promise<ReleaseResource> {
    return this.#calls.ended(this.id, state);
  }
  async verb(verb: string, body: object = {}): Promise<ReleaseOutcome> {
    const answer = await this.platform.call<ReleaseOutcome>('POST', `/v1/releases/${this.id}/${verb}`, body);
    if (answer.status !== 200) throw new Error(`${verb}: ${JSON.stringify(answer)}`);
    return answer.body;
  }
  promote(step: number): Promise<ReleaseOutcome> {
    return this.verb('promote', { expected_step: step });
  }
  /** An instance of v2 more; it gets requests once its version has a share. */
  async join(version = 'v2'): Promise<RegisteredInstance> {
    const one = await this.platform.startInstance({ service: this.service, version, wait: false });
    if (version === 'v2') this.#v2.push(one);
    return one;
  }
  /** As many of v2 as there are of v1, once all are ready: what the default of `min_ready` asks of a version that gets every request. */
  async joinAll(): Promise<void> {
    const all = await Promise.all([this.join(), this.join()]);
    await until('they are ready', async () => {
      const seen = await Promise.all(all.map(({ id }) => this.platform.instance(id, this.service)));
      return seen.every(({ registered, ready }) => registered && ready);
    });
  }
  /** Waits until so many requests more were answered. */
  async served(requests: number): Promise<void> {
    const sent = this.traffic.total();
    await until('traffic goes on', () => this.traffic.total() >= sent + requests, LONG);
  }
  /** Starts a release to v2 and brings it to `moment`. Resolves, while it waits there, with what lets it go on to its end. */
  async stopAt({ phase, weight }: Moment): Promise<() => Promise<void>> {
    const soak = phase === 'soaking' ? '3s' : '1s';
    const soaks = phase === 'soaking' || phase === 'analysing';
    const steps = WEIGHTS.flatMap((share, n) => [
      { pause: {} },
      { weight: share },
      ...(soaks && n === weight ? [{ pause: soak }] : []),
    ]);
    const gates = { min_samples: 10, on_inconclusive: 'pass', latency: null, fast: false };
    await this.start({ target: 'v2', steps, gates });
    if (phase !== 'preparing') await this.joinAll();
    for (let n = 0; n < weight; n += 1) await this.#passPause(2 * n);
    const at = 2 * weight;
    const goOn = await this.#stopAt(phase, at);
    return async () => {
      await goOn();
      await this.#finish();
    };
  }

  /** Keeps the phase of the weight that comes after the pause at step `at`. */
  async #stopAt(phase: StoppedPhase, at: number): Promise<() => Promise<void>> {
    const { platform } = this;
    const second = platform.gateways[1];
    if (!second) throw new Error('a platform of two gateways is needed');
    if (phase === 'preparing') {
      await this.reached(({ state }) => state === 'preparing');
      return () => this.joinAll();
    }
    await this.reached(({ state, step }) => state === 'paused' && step === at);
    switch (phase) {
      case 'paused':
        return () => Promise.resolve();
      case 'applying':
        await platform.redis.freeze();
        await this.promote(at);
        await this.reached((now) => now.phase === 'applying');
        return () => {
          platform.redis.thaw();
          return Promise.resolve();
        };
      case 'converging':
      case 'warming':
        await second.freeze();
        await this.promote(at);
        await this.reached((now) => now.phase === 'converging');
        if (phase === 'warming') {
          await Promise.all(this.#v2.map((one) => one.leave()));
          await until('nobody of v2 is ready', async () => {
            const states = await Promise.all(this.#v2.map(({ id }) => platform.instance(id, this.service)));
            return states.every(({ effective }) => effective.state === 'draining');
          });
        }
        if (phase === 'converging')
          return () => {
            second.thaw();
            return Promise.resolve();
          };
        second.thaw();
        await this.reached((now) => now.phase === 'warming');
        return () => this.joinAll();
      case 'soaking':
        await this.promote(at);
        await this.reached((now) => now.phase === 'soaking');
        return () => Promise.resolve();
      case 'analysing':
        await this.promote(at);
        await this.reached((now) => now.phase === 'soaking');
        await this.freeze();
        await this.reached((now) => now.phase === 'analysing');
        return () => this.unfreeze();
    }
  }

  async freeze(): Promise<void> {
    const answer = await this.platform.call('POST', `/v1/services/${this.service}/freeze`, { reason: 'e2e' });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  }
  async unfreeze(): Promise<void> {
    const answer = await this.platform.call('POST', `/v1/services/${this.service}/unfreeze`, {});
    if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  }

  async #passPause(step: number): Promise<void> {
    await this.reached((now) => now.state === 'paused' && now.step === step);
    await this.promote(step);
  }

  /** Promotes whatever waits for a person, to the end. */
  async #finish(): Promise<void> {
    for (;;) {
      const now = await this.reached(({ state }) => state === 'paused' || hasEnded(state));
      if (hasEnded(now.state)) return;
      await this.promote(now.step);
    }
  }
}
