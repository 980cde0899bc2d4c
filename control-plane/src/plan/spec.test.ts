import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServiceSpec } from '../model/intent.js';
import { SECTION_NAMES, SECTIONS } from '../model/service_spec.js';
import type { ServiceSet } from '../model/set.js';
import { readValue, type Fault, type Member, type Members, type Rule } from '../model/shape.js';
import { buildSet } from '../testing/builders.js';
import { decidedIn, effectiveSpec, mergeSpec, wireSections } from './spec.js';

const text = (rule: Extract<Rule, { kind: 'text' }>): fc.Arbitrary<string> =>
  fc
    .constantFrom('x', 'y', '/x', 'x-user', 'shop_at', 'inside', 'a=b c')
    .filter((one) => rule.pattern.test(one));

function anyValue(rule: Rule): fc.Arbitrary<unknown> {
  switch (rule.kind) {
    case 'whole':
      return fc.integer({ min: rule.min, max: rule.max });
    case 'flag':
      return fc.boolean();
    case 'one_of':
      return fc.constantFrom(...rule.values);
    case 'text':
      return text(rule);
    case 'list':
      return fc.array(anyValue(rule.of), { maxLength: 3 });
    case 'form':
      return fc.constantFrom(...rule.good);
    case 'objects':
      return fc.uniqueArray(anyObject(rule.members), {
        maxLength: 3,
        selector: (one) => (one as { readonly name: string }).name,
      });
    case 'range':
      return fc
        .tuple(fc.integer({ min: rule.min, max: rule.max }), fc.integer({ min: rule.min, max: rule.max }))
        .map(([one, other]) => [Math.min(one, other), Math.max(one, other)]);
    case 'object':
      return anyObject(rule.members);
  }
}
function anyObject(members: Members): fc.Arbitrary<unknown> {
  const drawn = Object.entries(members).map(([name, member]) => [name, anyMember(member)] as const);
  return fc.record(Object.fromEntries(drawn), {
    requiredKeys: Object.entries(members)
      .filter(([, { fallback }]) => fallback === undefined)
      .map(([name]) => name),
  });
}
/** A default now and then. */
function anyMember({ rule, fallback }: Member): fc.Arbitrary<unknown> {
  const usual = fallback === undefined || fallback === null ? [] : [fc.constant(fallback)];
  return fc.oneof(anyValue(rule), ...usual);
}
const anySpec = fc.record(
  Object.fromEntries(SECTION_NAMES.map((name) => [name, anyMember(SECTIONS[name])])),
  { requiredKeys: [] },
) as fc.Arbitrary<ServiceSpec>;

test('property: what is decided passes its own check, is published, read back, and recognised', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      for (const name of SECTION_NAMES) {
        const faults: Fault[] = [];
        if (spec[name] !== undefined) readValue(SECTIONS[name].rule, spec[name], 'spec', faults);
        expect(faults).toEqual([]);
      }
      const effective = effectiveSpec(spec);
      const wire = wireSections(effective);
      for (const name of SECTION_NAMES) {
        const faults: Fault[] = [];
        const given = wire[name];
        if (given === undefined) continue;
        // Nothing gets lost on the way, and no order but the contract's comes out.
        const read = readValue(SECTIONS[name].rule, given, 'wire', faults);
        expect(JSON.stringify(read)).toBe(JSON.stringify(given));
        expect(faults).toEqual([]);
      }
      expect(JSON.stringify(wireSections(wire))).toBe(JSON.stringify(wire));
      expect(effectiveSpec(decidedIn(wire))).toEqual({ ...effective, routes: [], min_available: 1 });
    }),
  );
});

test('property: a patch that puts everything back to its default leaves nothing', () => {
  const nothing = Object.fromEntries(SECTION_NAMES.map((name) => [name, null]));
  fc.assert(
    fc.property(anySpec, (spec) => {
      expect(mergeSpec(spec, nothing)).toEqual({});
      expect(effectiveSpec(mergeSpec({}, spec))).toEqual(effectiveSpec(spec));
    }),
  );
});

test('nobody has decided what the usual set says', () => {
  expect(decidedIn(buildSet())).toEqual({});
  const file = new URL('../../../docs/contract/examples/set_full.json', import.meta.url);
  const full = JSON.parse(readFileSync(file, 'utf8')) as ServiceSet;
  expect(decidedIn(full)).toMatchObject({
    balancer: { hash_on: { source: 'header', name: 'x-user' }, sticky: { cookie: 'orders_at' } },
    health: { check: { type: 'http', path: '/health' } },
  });
  expect(decidedIn(full).balancer).not.toHaveProperty('algorithm');
  expect(decidedIn(full).timeouts).toEqual({ try_ms: 5_000, total_ms: 15_000 });
});
