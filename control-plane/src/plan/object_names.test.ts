import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import { buildRegistration, buildView } from '../testing/builders.js';
import { compileService } from './compile.js';
import { encode } from './encode.js';
import { DEFAULT_RULES } from './membership.js';
import { observe } from './observe.js';
import { shareOf, sharesByCount, shiftShares } from './release/shares.js';

/*
 * Services, versions, zones, ids and labels may be called like the members that every object has.
 */

const ODD = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf', 'v1', 'v2'] as const;
const odd = fc.constantFrom(...ODD);

test('what is registered under such names comes out of the plan as it went in', () => {
  const registration = fc.record({ id: odd, version: odd, zone: odd, label: odd });
  const registrations = fc.uniqueArray(registration, { selector: ({ id }) => id, minLength: 1 });
  fc.assert(
    fc.property(odd, registrations, (service, given) => {
      const instances = given.map(({ label, ...rest }) =>
        buildRegistration({ service, ...rest, labels: Object.fromEntries([[label, label]]) }),
      );
      const { membership } = observe({
        ...{ previous: new Map(), now: 0, settle_until: 0, rules: DEFAULT_RULES },
        view: buildView(instances),
        ...{ due: 0, intents: new Map(), traffic: new Map() },
      });
      const versions = Object.fromEntries(sharesOf(given.map(({ version }) => version)));
      const record = { ...NO_INTENT, versions };
      const { set } = compileService(service, membership.get(service) ?? new Map(), record, 0);
      const { peers } = JSON.parse(encode(set).payload) as typeof set;
      const seen = peers.map(({ id, version, zone, state, weight }) => [
        id,
        version,
        zone,
        state,
        weight > 0,
      ]);
      const wanted = given.map(({ id, version, zone }) => [id, version, zone, 'up', true]);
      expect(new Map(seen.map((one) => [one[0], one]))).toEqual(new Map(wanted.map((one) => [one[0], one])));
    }),
  );
});

/** All versions share alike, whole percents. */
function sharesOf(versions: readonly string[]): readonly (readonly [string, number])[] {
  const names = [...new Set(versions)];
  const each = Math.floor(100 / names.length);
  return names.map((name, i) => [name, i === 0 ? 100 - each * (names.length - 1) : each]);
}

test('shares of such versions sum to 100 and go to whom they were given', () => {
  fc.assert(
    fc.property(odd, odd, fc.integer({ min: 1, max: 99 }), (stable, target, weight) => {
      fc.pre(stable !== target);
      const shares = shiftShares(Object.fromEntries([[stable, 100]]), stable, target, weight);
      expect([shareOf(shares, stable), shareOf(shares, target)]).toEqual([100 - weight, weight]);
      const even = sharesByCount(
        Object.fromEntries([
          [stable, 1],
          [target, 1],
        ]),
        stable,
      );
      expect([shareOf(even, stable), shareOf(even, target)]).toEqual([50, 50]);
    }),
  );
});
