import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditRecord } from '../model/audit.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { MutationContext } from '../model/mutation.js';
import { boundedEntry } from '../model/audit.js';
import { buildEntry, buildRegistration, buildWitnesses, ORIGIN } from '../testing/builders.js';
import { draws } from '../testing/draws.js';
import { decide, type ServiceMutation } from './decide.js';
import type { DecisionState } from './decision.js';
import type { Member } from './membership.js';
import { digestOf, undoOf } from './undo.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const CONTEXT: MutationContext = {
  origin: ORIGIN,
  ...{ by: 'ann', services: '*', reason: '', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};
const IDS = ['a', 'b', 'c', 'd'];

/** Two services with four instances each, and what people do to them; every change leaves its record. */
class People {
  readonly records = new Map<string, IntentRecord>();
  readonly audit: AuditRecord[] = [];
  wall = NOW;

  does(mutation: ServiceMutation, context: Partial<MutationContext> = {}, undo?: AuditRecord) {
    this.wall += 1_000;
    const state = { ...this.#state(), ...(undo === undefined ? {} : { undo }) };
    const decided = decide(mutation, { ...CONTEXT, ...context }, state);
    if (!decided.ok) return decided;
    const changed = [...decided.value.records].map(
      ([service, after]) => [service, this.records.get(service) ?? NO_INTENT, after] as const,
    );
    for (const [service, , after] of changed) this.records.set(service, after);
    if (changed.length > 0)
      this.audit.push({
        n: this.audit.length + 1,
        ...buildEntry({ by: context.by ?? 'ann', verb: mutation.kind, undo: undoOf(changed) }),
      });
    return decided;
  }

  undoes(n: number, context: Partial<MutationContext> = {}) {
    return this.does({ kind: 'undo', record: n }, context, this.audit[n - 1]);
  }

  /** What is decided, without what counts changes and reports them. */
  decided(): unknown {
    const plain = ({ instances, versions, spec, freeze, fallback }: IntentRecord): unknown => {
      return { instances, versions, spec, freeze: freeze ?? null, fallback: fallback ?? null };
    };
    return ['cart', 'shop'].map((service) => digestOf(plain(this.records.get(service) ?? NO_INTENT)));
  }

  #state(): DecisionState {
    const members = (service: string): ReadonlyMap<string, Member> =>
      new Map(
        IDS.map((id, at) => {
          const host = `10.0.0.${String(at + 1)}`;
          const registration = buildRegistration({ service, id, host, version: at < 2 ? 'v1' : 'v2' });
          return [id, { registration, presence: 'present', since: 0, vanished_at: null }];
        }),
      );
    const intents = [...this.records].map(
      ([service, record]) => [service, { service, record, etag: `c-${String(record.rev)}` }] as const,
    );
    return {
      intents: new Map(intents),
      membership: new Map(['cart', 'shop'].map((service) => [service, members(service)])),
      witnesses: buildWitnesses(),
      ...{ wall: this.wall, newId: `op-${String(this.wall)}`, drain_timeout_ms: 1_000 },
    };
  }
}

const DRAIN = { kind: 'drain', timeout_ms: null, on_timeout: 'wait' } as const;
const HOST = { ...DRAIN, selector: { host: '10.0.0.1' } };

/** What people may ask for. */
const MUTATIONS: readonly ServiceMutation[] = [
  HOST,
  { ...DRAIN, selector: { service: 'shop', ids: ['b'] } },
  { kind: 'undrain', selector: { host: '10.0.0.1' } },
  { kind: 'isolate', selector: { service: 'shop', version: 'v2' } },
  { kind: 'restore', selector: { service: 'shop', version: 'v2' } },
  { kind: 'set_weights', service: 'shop', weights: { a: 10, b: null } },
  { kind: 'set_weights', service: 'cart', weights: { c: 0 }, backups: { d: true } },
  { kind: 'set_versions', service: 'shop', versions: { v1: 20, v2: 80 } },
  { kind: 'set_versions', service: 'shop', versions: {} },
  { kind: 'patch_spec', service: 'shop', spec: { retry: { tries: 4 }, min_available: 1 } },
  { kind: 'patch_spec', service: 'shop', spec: { retry: null } },
  { kind: 'freeze', service: 'cart' },
  { kind: 'unfreeze', service: 'cart' },
];

describe('undo', () => {
  test('gives a mistaken selector over several services back, with what lay below', () => {
    const people = new People();
    people.does({ kind: 'set_weights', service: 'shop', weights: { a: 7 } }, { by: 'bob', reason: 'slow' });
    const before = people.decided();
    people.does(HOST, { reason: 'wrong host' });
    expect(people.records.get('cart')?.instances['a']).toMatchObject({ state: 'draining' });
    expect(people.undoes(2, { reason: 'it was the other host' })).toMatchObject({
      ok: true,
      value: { services: ['cart', 'shop'] },
    });
    expect(people.decided()).toEqual(before);
    expect(people.records.get('shop')?.instances['a']).toMatchObject({
      weight: 7,
      by: 'bob',
      reason: 'slow',
    });
    expect(people.records.get('cart')?.events.at(-1)).toMatchObject({
      ...{ event: 'undone', by: 'ann', message: expect.stringMatching(/^undid drain of .*record 2, by ann/) },
      reason: 'it was the other host',
    });
  });

  test('what was changed since is in the way of all of it, and is named', () => {
    const people = new People();
    people.does(HOST);
    people.does(
      { kind: 'isolate', selector: { service: 'shop', ids: ['a'] } },
      { by: 'bob', reason: 'leak' },
    );
    const before = people.decided();
    const undone = people.undoes(1);
    expect(undone).toMatchObject({ ok: false, error: { code: 'conflict' } });
    if (!undone.ok) {
      expect(undone.error.detail).toMatch(/Changed since drain of .*: shop\/a \(now isolated by bob.*leak/);
      expect(undone.error.detail).not.toMatch(/cart\/a/);
    }
    expect(people.decided()).toEqual(before);
    // Backwards, one after the other.
    expect(people.undoes(2).ok).toBe(true);
    expect(people.undoes(1).ok).toBe(true);
    expect(people.decided()).toEqual(new People().decided());
  });

  test('twice is refused, and the undoing can be undone', () => {
    const people = new People();
    people.does(HOST);
    const drained = people.decided();
    people.undoes(1);
    expect(people.undoes(1)).toMatchObject({ ok: false, error: { code: 'conflict' } });
    expect(people.undoes(2).ok).toBe(true);
    expect(people.decided()).toEqual(drained);
  });

  test('is guarded', () => {
    const people = new People();
    const all = { service: 'shop', all: true } as const;
    people.does({ kind: 'isolate', selector: all }, { force: true, reason: 'rehearsal' });
    people.does({ kind: 'restore', selector: all });
    expect(people.undoes(2)).toMatchObject({ ok: false, error: { code: 'guard_refused' } });
    expect(people.undoes(2, { force: true, reason: 'again' }).ok).toBe(true);
  });

  test('what was to end by itself meanwhile does not come back', () => {
    const people = new People();
    people.does({ kind: 'set_weights', service: 'shop', weights: { a: 7 } }, { expires_ms: 60_000 });
    people.does({ kind: 'set_weights', service: 'shop', weights: { a: 9 } });
    people.wall += 120_000;
    expect(people.undoes(2).ok).toBe(true);
    expect(people.records.get('shop')?.instances).toEqual({});
  });

  test('a route that another service has by now is not taken from it', () => {
    const people = new People();
    const routes = [{ host: 'x', path: '/' }];
    people.does({ kind: 'patch_spec', service: 'shop', spec: { routes } });
    people.does({ kind: 'patch_spec', service: 'shop', spec: { routes: null } });
    people.does({ kind: 'patch_spec', service: 'cart', spec: { routes } });
    expect(people.undoes(2)).toMatchObject({ ok: false, error: { code: 'route_taken' } });
  });

  test('a record that does not say how says why', () => {
    const people = new People();
    const release = {
      n: 1,
      ...buildEntry({ verb: 'start_release', undo: { kind: 'none', why: 'abort it' } }),
    };
    expect(people.does({ kind: 'undo', record: 1 }, {}, release)).toMatchObject({
      error: {
        code: 'conflict',
        detail: 'Start_release of shop/a (record 1, by ann) cannot be undone: abort it',
      },
    });
    const tall = Array.from({ length: 5_000 }, (_, at) => {
      return { id: `i-${String(at)}`, before: null, after: digestOf(null) };
    });
    const services = [{ service: 'shop', instances: tall, versions: null, spec: [], freeze: null }];
    expect(boundedEntry(buildEntry({ undo: { kind: 'services', services } })).undo).toMatchObject({
      kind: 'none',
      why: expect.stringContaining('too much'),
    });
  });

  test('property: whatever people did, undoing backwards gives back what was at each moment', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(MUTATIONS.length - 1), { maxLength: 12 }), (picks) => {
        const people = new People();
        const moments: unknown[] = [];
        for (const pick of picks) {
          const mutation = MUTATIONS[pick]!;
          const before = people.decided();
          const kept = people.audit.length;
          people.does(mutation, { force: true, reason: 'any' });
          if (people.audit.length > kept) moments.push(before);
        }
        for (let n = moments.length; n > 0; n -= 1) {
          const undone = people.undoes(n, { force: true, reason: 'back' });
          expect(undone).toMatchObject({ ok: true });
          people.audit.splice(moments.length);
          expect(people.decided()).toEqual(moments[n - 1]);
        }
      }),
      { numRuns: draws(300) },
    );
  });

  test('a digest does not depend on the order of members', () => {
    expect(digestOf({ a: 1, b: { c: [1, 2], d: undefined } })).toBe(digestOf({ b: { c: [1, 2] }, a: 1 }));
    expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: '1' }));
    expect(digestOf(undefined)).toBe(digestOf(null));
  });
});
