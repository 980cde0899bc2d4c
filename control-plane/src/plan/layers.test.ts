import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_INTENT, type InstanceIntent, type IntentRecord, type StoredIntent } from '../model/intent.js';
import type { MutationContext, Selector } from '../model/mutation.js';
import { buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { encodeIntentRecord, parseIntentRecord } from '../zookeeper/intent_record.js';
import { compileService } from './compile.js';
import { decide, type ServiceMutation } from './decide.js';
import { diffRecords } from './diff.js';
import { intentOf, layersOf, spellLayers } from './layers.js';
import type { Member } from './membership.js';
import { advanceOperations, expireIntents, progressOf } from './operations.js';
import { inForce } from './record.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const HOUR = 3_600_000;
const MEMBERS: ReadonlyMap<string, Member> = new Map(
  ['a', 'b', 'c'].map((id) => [
    id,
    { registration: buildRegistration({ id }), presence: 'present', since: 0, vanished_at: null },
  ]),
);
const WITNESSES = {
  roster: new Map(),
  fleet: { complete: true, listed: new Map(), heard: new Map() },
  ...{ now: 0, silent_ms: 5_000, left: new Map(), shared: new Set<string>(), unready: null, learning: false },
};

/** People who decide for instance a of `shop`, one after the other. */
class Shop {
  record: IntentRecord = NO_INTENT;
  wall = NOW;
  #ops = 0;

  does(by: string, mutation: ServiceMutation, context: Partial<MutationContext> = {}): readonly string[] {
    const stored: StoredIntent = { service: 'shop', record: this.record, etag: 'c1-1' };
    const decided = decide(
      mutation,
      {
        origin: ORIGIN,
        ...{
          services: '*',
          reason: `${by}'s reason`,
          dry_run: false,
          force: false,
          if_match: null,
          idempotency_key: null,
        },
        ...{ expires_ms: null, by, ...context },
      },
      {
        intents: new Map([['shop', stored]]),
        membership: new Map([['shop', MEMBERS]]),
        witnesses: buildWitnesses(),
        ...{ wall: this.wall, newId: `op-${String((this.#ops += 1))}`, drain_timeout_ms: 600_000 },
      },
    );
    if (!decided.ok) throw new Error(decided.error.detail);
    const after = decided.value.records.get('shop') ?? this.record;
    const changes = diffRecords('shop', MEMBERS, this.record, after, this.wall, null, by);
    this.record = after;
    return changes
      .filter(({ field }) => field === 'intent' || field === 'spec')
      .map(({ from, to }) => `${from} → ${to}`);
  }
  drain = (by: string, context = {}) =>
    this.does(by, { kind: 'drain', selector: A, timeout_ms: null, on_timeout: 'wait' }, context);
  verb = (by: string, kind: 'undrain' | 'isolate' | 'restore', context = {}) =>
    this.does(by, { kind, selector: A }, context);
  weight = (by: string, weight: number | null, context = {}) =>
    this.does(by, { kind: 'set_weights', service: 'shop', weights: { a: weight } }, context);
  role = (by: string, backup: boolean | null) =>
    this.does(by, { kind: 'set_weights', service: 'shop', weights: {}, backups: { a: backup } });

  get intent(): InstanceIntent | undefined {
    return this.record.instances['a'];
  }
  get layers(): readonly string[] {
    return spellLayers(this.intent);
  }
  get said(): string {
    return this.record.events.at(-1)?.message ?? '';
  }
  get peer(): string {
    const peer = compileService('shop', MEMBERS, this.record, this.wall).set.peers[0];
    return `${peer?.state ?? ''} ${String(peer?.weight)}`;
  }
  passes(ms: number): void {
    this.wall += ms;
    this.record = expireIntents(this.record, this.wall) ?? this.record;
  }
}
const A: Selector = { service: 'shop', ids: ['a'] };

describe('an isolation over a drain', () => {
  it('leaves the drain, and a restore by somebody else uncovers it with its reason and author', () => {
    const shop = new Shop();
    shop.drain('ann');
    const before = shop.intent;
    expect(shop.verb('bob', 'isolate')).toEqual([
      "drained by ann: ann's reason → isolated by bob: bob's reason, over drained by ann: ann's reason",
    ]);
    expect(shop.said).toBe("isolated (bob's reason); over drained by ann: ann's reason");
    expect(shop.peer).toBe('isolated 0');
    expect(shop.verb('eve', 'restore')).toEqual([
      "isolated by bob: bob's reason, over drained by ann: ann's reason → drained by ann: ann's reason",
    ]);
    expect(shop.said).toBe(
      "restored (eve's reason); takes back isolated by bob: bob's reason; uncovers drained by ann: ann's reason",
    );
    expect(shop.intent).toEqual(before);
    expect(shop.peer).toBe('draining 0');
  });

  it('ends by its expiry, and the drain is in force again; so the other way round', () => {
    const shop = new Shop();
    shop.drain('ann', { expires_ms: 3 * HOUR });
    const before = shop.intent;
    shop.verb('bob', 'isolate', { expires_ms: HOUR });
    expect(compileService('shop', MEMBERS, shop.record, NOW).valid_until).toBe(NOW + HOUR);
    shop.passes(HOUR);
    expect(shop.intent).toEqual(before);
    expect(shop.said).toMatch(
      /^expired: isolated by bob until .*: bob's reason; uncovers drained by ann until /,
    );
    shop.verb('bob', 'isolate');
    shop.passes(3 * HOUR);
    expect(shop.layers).toEqual(["isolated by bob: bob's reason"]);
    expect(shop.said).toMatch(/^expired: drained by ann .*; leaves isolated by bob: bob's reason$/);
  });

  it('lets the drain be taken back below it, or begun below it', () => {
    const shop = new Shop();
    shop.drain('ann');
    shop.verb('bob', 'isolate');
    expect(shop.verb('eve', 'undrain')).toEqual([
      "isolated by bob: bob's reason, over drained by ann: ann's reason → isolated by bob: bob's reason",
    ]);
    expect(shop.said).toContain(
      "takes back drained by ann: ann's reason; leaves isolated by bob: bob's reason",
    );
    expect(shop.peer).toBe('isolated 0');
    expect(shop.drain('kim')).toHaveLength(1);
    expect(shop.said).toBe("drain started (kim's reason); below isolated by bob: bob's reason");
    expect(shop.peer).toBe('isolated 0');
    shop.verb('bob', 'restore');
    expect(shop.intent).toMatchObject({ state: 'draining', by: 'kim', op: 'op-4' });
  });

  it('does not end the operation of the drain; a cut and a give-back reach below it', () => {
    const shop = new Shop();
    shop.drain('ann');
    shop.verb('bob', 'isolate');
    const op = shop.record.ops[0]!;
    const progress = progressOf('shop', shop.record, op, () => null, WITNESSES);
    expect(progress.map(({ taken }) => taken)).toEqual([false]);
    for (const [on_timeout, below] of [
      ['cut', ["isolated by bob: bob's reason", "drained and cut by ann: ann's reason"]],
      ['undrain', ["isolated by bob: bob's reason"]],
    ] as const) {
      const record = { ...shop.record, ops: [{ ...op, on_timeout }] };
      const after = advanceOperations('shop', record, () => null, WITNESSES, NOW + HOUR);
      expect(spellLayers(after?.instances['a'])).toEqual(below);
    }
    shop.does('eve', { kind: 'cancel_operation', id: 'op-1' });
    expect(shop.layers).toEqual(["isolated by bob: bob's reason"]);
  });
});

describe('what is decided again', () => {
  it('a drain over a drain replaces it, says whose, and ends its operation', () => {
    const shop = new Shop();
    shop.drain('ann');
    expect(shop.drain('bob')).toEqual(["drained by ann: ann's reason → drained by bob: bob's reason"]);
    expect(shop.said).toBe("drain started (bob's reason); replaces drained by ann: ann's reason");
    expect(progressOf('shop', shop.record, shop.record.ops[0]!, () => null, WITNESSES)[0]?.taken).toBe(true);
  });

  it('an isolation over an isolation lasts as long as the second says', () => {
    const shop = new Shop();
    shop.verb('ann', 'isolate', { expires_ms: HOUR });
    expect(shop.verb('bob', 'isolate')).toHaveLength(1);
    expect(shop.said).toMatch(/; replaces isolated by ann until .*: ann's reason$/);
    shop.passes(2 * HOUR);
    expect(shop.peer).toBe('isolated 0');
    const { rev } = shop.record;
    expect(shop.verb('bob', 'isolate')).toEqual([]);
    expect(shop.record.rev).toBe(rev);
  });

  it('who takes something of somebody else back sees whose', () => {
    const shop = new Shop();
    shop.verb('ann', 'isolate');
    expect(shop.verb('bob', 'restore')).toEqual(["isolated by ann: ann's reason → none"]);
    shop.verb('ann', 'isolate');
    expect(shop.verb('ann', 'restore')).toEqual([]);
    expect(shop.said).toContain("takes back isolated by ann: ann's reason");
  });

  it('weight and role keep their own authors, under a drain too', () => {
    const shop = new Shop();
    shop.weight('ann', 50, { expires_ms: 2 * HOUR });
    shop.role('bob', true);
    shop.drain('kim', { expires_ms: HOUR });
    expect(shop.layers.map((one) => one.replace(/ until [^ ]+Z/, ''))).toEqual([
      "drained by kim: kim's reason",
      "made a backup by bob: bob's reason",
      "weight 50 set by ann: ann's reason",
    ]);
    expect(shop.weight('eve', 70)).toHaveLength(1);
    expect(shop.said).toMatch(/replaces weight 50 set by ann .*; below made a backup by bob/);
    shop.passes(HOUR);
    expect(shop.layers).toEqual(["made a backup by bob: bob's reason", "weight 70 set by eve: eve's reason"]);
    shop.passes(2 * HOUR);
    expect(shop.peer).toBe('up 70');
    shop.role('eve', null);
    expect(shop.layers).toEqual(["weight 70 set by eve: eve's reason"]);
  });

  it('shares, spec and freezes say what they replace', () => {
    const shop = new Shop();
    const freeze = (by: string): void => void shop.does(by, { kind: 'freeze', service: 'shop' });
    freeze('ann');
    freeze('bob');
    expect(shop.said).toBe(
      "no release starts and no step begins (bob's reason); replaces the freeze by ann: ann's reason",
    );
    shop.does('eve', { kind: 'unfreeze', service: 'shop' });
    expect(shop.said).toBe("releases may go on (eve's reason); takes back the freeze by bob: bob's reason");
    const tries = (by: string, n: number): readonly string[] =>
      shop.does(by, { kind: 'patch_spec', service: 'shop', spec: { retry: { tries: n } } });
    tries('ann', 3);
    expect(tries('bob', 4)).toEqual([
      "last changed by ann: ann's reason → last changed by bob: bob's reason",
    ]);
    expect(shop.said).toBe(
      "changed retry.tries: 3 → 4 (bob's reason); replaces what was last changed by ann: ann's reason",
    );
    // What only adds to it replaces nobody's decision.
    expect(
      shop.does('eve', { kind: 'patch_spec', service: 'shop', spec: { timeouts: { connect_ms: 700 } } }),
    ).toEqual([]);
    expect(shop.said).toBe("changed timeouts.connect_ms: 500 → 700 (eve's reason)");
    const shares = (by: string, versions: Record<string, number>): void =>
      void shop.does(by, { kind: 'set_versions', service: 'shop', versions });
    const { version } = MEMBERS.get('a')!.registration;
    shares('ann', { [version]: 100 });
    shares('bob', {});
    expect(shop.said).toBe(
      `removed the version shares (bob's reason); replaces ${version}=100 by ann: ann's reason`,
    );
    expect(shop.record.versions_by).toBeUndefined();
  });
});

describe('records', () => {
  it('of before layers are read as they are', () => {
    const old = {
      state: 'isolated',
      weight: 5,
      by: 'ann',
      reason: 'leak',
      at: '2026-05-01T11:00:00Z',
    } as const;
    expect(spellLayers({ ...old, expires: '2026-05-01T13:00:00Z' })).toEqual([
      'isolated by ann until 2026-05-01T13:00:00Z: leak',
      'weight 5 set by ann: leak',
    ]);
    expect(inForce({ ...old, expires: '2026-05-01T12:00:00Z' }, NOW)).toEqual({
      ...{ weight: 5, by: 'ann', reason: 'leak', at: '2026-05-01T11:00:00Z' },
    });
    const bytes = Buffer.from(JSON.stringify({ ...NO_INTENT, instances: { a: old } }));
    expect(parseIntentRecord(bytes)).toMatchObject({ ok: true, value: { instances: { a: old } } });
  });

  const author = fc.record(
    {
      by: fc.constantFrom('ann', 'bob'),
      reason: fc.constantFrom('', 'leak'),
      at: fc.constantFrom('2026-05-01T11:00:00.000Z', '2026-05-01T11:30:00.000Z'),
      expires: fc.constantFrom('2026-05-01T12:00:00.000Z', '2026-05-01T13:00:00.000Z'),
    },
    { requiredKeys: ['by', 'reason', 'at'] },
  );
  const layers = fc.record(
    {
      isolation: author,
      drain: fc
        .tuple(author, fc.constantFrom('draining' as const, 'cut' as const), fc.boolean())
        .map(([by, state, op]) => ({ ...by, state, ...(op ? { op: 'op-1' } : {}) })),
      backup: fc.tuple(author, fc.boolean()).map(([by, value]) => ({ ...by, value })),
      weight: fc.tuple(author, fc.nat(100)).map(([by, value]) => ({ ...by, value })),
    },
    { requiredKeys: [] },
  );
  it('keep every layer: what is written is what is read, and only what expired goes', () => {
    fc.assert(
      fc.property(layers, (given) => {
        const intent = intentOf(given);
        expect(layersOf(intent)).toEqual(given);
        if (intent === undefined) return;
        const read = parseIntentRecord(encodeIntentRecord({ ...NO_INTENT, instances: { a: intent } }));
        expect(read).toMatchObject({ ok: true, value: { instances: { a: intent } } });
        const left = Object.entries(given).filter(([, one]) => one.expires !== '2026-05-01T12:00:00.000Z');
        expect(layersOf(inForce(intent, NOW))).toEqual(Object.fromEntries(left));
      }),
    );
  });
});
