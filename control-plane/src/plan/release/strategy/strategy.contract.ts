import { describe, expect, it } from 'vitest';
import { hasEnded, type ReleaseRecord, type VerbName } from '../../../model/release.js';
import type { InstanceFacts, ReleaseFacts } from '../../../model/release_facts.js';
import type { StrategyRequest } from '../../../model/release_plane.js';
import { buildFacts, buildInstanceFacts, RELEASE_AT } from '../../../testing/releases.js';
import { advance } from '../advance.js';
import { wantedCall, wantedTraffic } from '../asks.js';
import { describePlan } from '../describe.js';
import { startRelease, type Start } from '../start.js';
import { obey } from '../verbs.js';
import { strategyOf } from './of.js';

/*
 * What is true of every strategy, whatever it does on its way: it comes to its end, it can be stopped and turned round at every move, and it
 * leaves nothing behind.
 */

const STEP_MS = 1_000;
const MOST_LOOKS = 300;

/** What a strategy is tried with. */
export interface Subject {
  readonly request: StrategyRequest;
  /** Version by instance, when a release of `shop` from v1 to v2 begins. */
  readonly instances: Readonly<Record<string, string>>;
}

/** A service that does whatever its release asks: drains are proven, calls are taken and obeyed, shares are written down. */
class Service {
  record: ReleaseRecord;
  now = RELEASE_AT;
  moves = 0;
  readonly #versions: Map<string, string>;
  #intended: Readonly<Record<string, number>> = {};
  #called: ReleaseFacts['call'] = null;

  constructor({ instances }: Subject, record: ReleaseRecord) {
    this.record = record;
    this.#versions = new Map(Object.entries(instances));
  }

  facts(): ReleaseFacts {
    const drained = new Set(wantedTraffic(this.record).draining);
    const ready: Record<string, number> = {};
    for (const [id, version] of this.#versions)
      if (!drained.has(id)) ready[version] = (ready[version] ?? 0) + 1;
    const instances = [...this.#versions].map(([id, version]): InstanceFacts =>
      buildInstanceFacts(id, { version, able: !drained.has(id) }),
    );
    const watches = strategyOf(this.record).watched(this.record) !== null;
    return buildFacts({
      ready,
      intent_shares: this.#intended,
      call: this.#called,
      instances: watches ? instances : [],
    });
  }

  /** One look; true if it moved. */
  look(facts = this.facts()): boolean {
    this.now += STEP_MS;
    const looked = advance(this.record, facts, this.now);
    if (looked.write_shares) this.#intended = looked.write_shares;
    this.record = looked.record;
    this.#obeyCall();
    if (looked.moved) this.moves += 1;
    return looked.moved;
  }

  /** Looks until it has ended, or has moved so often. */
  run(moves = Infinity): ReleaseRecord {
    for (let n = 0; n < MOST_LOOKS && this.moves < moves && !hasEnded(this.record.state); n += 1) this.look();
    return this.record;
  }

  say(verb: VerbName, full = false): ReturnType<typeof obey> {
    const asked = { verb, expected_step: this.record.step, full };
    const context = { by: 'ann', reason: '', idempotency_key: null, force: false };
    const said = obey(this.record, asked, context, this.facts(), this.now);
    if (said.ok) this.record = said.value.record;
    return said;
  }

  #obeyCall(): void {
    const call = wantedCall(this.record);
    this.#called = call && { outcome: 'accepted', reason: '' };
    for (const { id } of call?.body.instances ?? []) this.#versions.set(id, call?.body.to ?? '');
  }
}

/** Every promise that a strategy of plan/release/strategy/ makes to the rest. */
export function strategyContract(subject: Subject): void {
  const { request, instances } = subject;
  const start = (): Start => {
    const ready: Record<string, number> = {};
    for (const version of Object.values(instances)) ready[version] = (ready[version] ?? 0) + 1;
    const started = startRelease(
      {
        ...{ service: 'shop', target: 'v2', stable: 'v1', strategy: request, like: null, gates: GATES },
        ...{ deadline_ms: null, start_deadline_ms: null, min_ready: null, supersede: false },
      },
      {
        releases: { current: null, history: [] },
        ...{ intent_shares: {}, ready, drain_timeout_ms: 45_000, newId: 'rel-1', by: 'ann', reason: '' },
        now: RELEASE_AT,
      },
    );
    if (!started.ok) throw new Error(started.error.detail);
    return started.value;
  };
  const begun = (): Service => new Service(subject, start().record);
  const moves = (): number => {
    const whole = begun();
    whole.run();
    return whole.moves;
  };
  const everyMove = (): readonly number[] => Array.from({ length: moves() }, (_, n) => n);
  const leavesNothing = (record: ReleaseRecord): void => {
    expect(strategyOf(record).unsound(record)).toBeNull();
    expect(wantedTraffic(record).draining).toEqual([]);
    expect(wantedCall(record)).toBeNull();
  };

  describe(`the strategy ${request.kind}`, () => {
    it('begins as a sound record of its kind, and says what it will do', () => {
      const { record } = start();
      const strategy = strategyOf(record);
      expect(record.strategy.kind).toBe(request.kind);
      expect(strategy.unsound(record)).toBeNull();
      expect(strategy.guardStart(record, begun().facts(), null)).toEqual([]);
      const plan = describePlan(record, begun().facts());
      expect(plan.steps.length).toBeGreaterThan(0);
      expect(plan.steps.map(({ step }) => step)).toEqual(plan.steps.map((_one, index) => index));
      expect(plan.blockers).toEqual([]);
    });
    it('comes to its end: the target serves, and nothing is left behind', () => {
      const service = begun();
      const record = service.run();
      expect(record).toMatchObject({ state: 'succeeded', paused: null, phase: null });
      expect(service.facts().ready['v2']).toBeGreaterThan(0);
      leavesNothing(record);
    });
    it('moves once a look, and the same facts at the same moment add nothing', () => {
      for (const at of everyMove()) {
        const service = begun();
        const before = service.run(at);
        const facts = service.facts();
        const once = advance(before, facts, service.now + STEP_MS);
        expect(advance(before, facts, service.now + STEP_MS)).toEqual(once);
        if (!once.moved) expect(advance(once.record, facts, service.now + STEP_MS)).toEqual(once);
        expect(Math.abs(once.record.rev - before.rev)).toBeLessThanOrEqual(1);
      }
    });
    it('survives its bytes at every move', () => {
      for (const at of everyMove()) {
        const service = begun();
        service.run(at);
        service.record = JSON.parse(JSON.stringify(service.record)) as ReleaseRecord;
        expect(service.run().state).toBe('succeeded');
      }
    });
    it.each([
      ['abort', 'cancelled'],
      ['rollback', 'rolled_back'],
    ] as const)('turns round by %s at every move, and ends %s', (verb, state) => {
      for (const at of everyMove()) {
        const service = begun();
        service.run(at);
        expect(service.say(verb)).toMatchObject({ ok: true, value: { changed: true } });
        const { turned } = service.record;
        expect(service.record).toMatchObject({ state: 'rolling_back' });
        const ended = service.run();
        expect(ended).toMatchObject({ state, turned });
        expect(service.facts().ready['v1']).toBeGreaterThan(0);
        expect(ended.shares['v2'] ?? 0).toBe(0);
        leavesNothing(ended);
      }
    });
    it('does not move while a person has paused it, and goes on where it was', () => {
      for (const at of everyMove()) {
        const service = begun();
        const { state } = service.run(at);
        const paused = service.say('pause');
        expect(paused.ok).toBe(state === 'preparing' || state === 'progressing');
        if (!paused.ok) continue;
        const asked = wantedTraffic(service.record);
        for (let n = 0; n < 5; n += 1) expect(service.look()).toBe(false);
        expect(wantedTraffic(service.record)).toEqual(asked);
        expect(service.say('resume').ok).toBe(true);
        expect(service.run().state).toBe('succeeded');
      }
    });
    it('begins no step against what blocks it', () => {
      const service = begun();
      const blocked = { ...service.facts(), blocked_by: ['a freeze'] };
      for (let n = 0; n < 20; n += 1) service.look(blocked);
      expect(service.record.state).toBe('pending');
      for (const at of everyMove()) {
        const later = begun();
        const { step, state } = later.run(at);
        const next = advance(
          later.record,
          { ...later.facts(), blocked_by: ['a freeze'] },
          later.now + STEP_MS,
        );
        if (state === 'progressing' && next.record.state === state) expect(next.record.step).toBe(step);
      }
    });
    it.each(['skip', 'retry'] as const)('%s at every move still leads to an end', (verb) => {
      for (const at of everyMove()) {
        const service = begun();
        service.run(at);
        const said = service.say(verb);
        if (said.ok) expect(strategyOf(service.record).unsound(service.record)).toBeNull();
        const ended = service.run();
        expect(hasEnded(ended.state)).toBe(true);
        leavesNothing(ended);
      }
    });
    it('promote --full leaves soaks out, and succeeds', () => {
      for (const at of everyMove()) {
        const service = begun();
        service.run(at);
        service.say('promote', true);
        expect(service.run().state).toBe('succeeded');
      }
    });
    it('is begun again without soaks, and from nothing', () => {
      const service = begun();
      const { strategy } = service.run();
      const again = strategyOf({ strategy }).again(strategy, null);
      expect(
        strategyOf({ strategy: again })
          .soaks(again)
          .filter((ms) => ms > 0),
      ).toEqual([]);
      expect(again.kind).toBe(strategy.kind);
    });
    it('hands over no more than it drains', () => {
      for (const at of everyMove()) {
        const service = begun();
        const record = service.run(at);
        const handed = strategyOf(record)
          .handsOver(record)
          .map(({ id }) => id);
        expect([...wantedTraffic(record).draining].sort()).toEqual([...handed].sort());
      }
    });
  });
}

/** No gate that counts: what gates do is the same for every strategy, and is tested with them. */
const GATES = { errors: null, latency: null, fast: false };
