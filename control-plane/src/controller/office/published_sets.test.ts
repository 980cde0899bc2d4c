import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ROUTES } from '../../model/names.js';
import type { EncodedDocument } from '../../model/set.js';
import { encode } from '../../plan/encode.js';
import { buildEncoded, buildPeer, buildRoutes, buildSet } from '../../testing/builders.js';
import { PublishedSets } from './published_sets.js';

const SERVICES = ['cart', 'orders', 'shop'] as const;

type Step =
  | { readonly do: 'want'; readonly service: string; readonly weight: number | null }
  | { readonly do: 'unsettle' | 'settle'; readonly service: string }
  | { readonly do: 'publish' | 'begin' | 'look' }
  | { readonly do: 'raise' };

const service = fc.constantFrom<string>(...SERVICES, ROUTES);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('want' as const), service, weight: fc.option(fc.nat(2), { nil: null }) }),
  fc.record({ do: fc.constantFrom('unsettle' as const, 'settle' as const), service }),
  fc.record({ do: fc.constantFrom('publish' as const, 'look' as const, 'begin' as const) }),
  fc.constant({ do: 'raise' as const }),
);

function documentOf(name: string, weight: number): EncodedDocument {
  if (name === ROUTES)
    return buildEncoded(buildRoutes([{ host: '*', path: `/${String(weight)}`, service: 'shop' }]));
  return buildEncoded(buildSet({ service: name, peers: [buildPeer({ weight })] }));
}

/** The same by looking at everything. */
function dueByAll(
  sets: PublishedSets,
  documents: ReadonlyMap<string, EncodedDocument>,
  epoch: number,
): readonly EncodedDocument[] {
  const tombstones = [...new Set([...sets.published.keys(), ...sets.unsettled])]
    .filter((name) => !documents.has(name))
    .map((name) => encode({ v: 1, service: name, removed: true }));
  return [...documents.values(), ...tombstones].filter(
    ({ service: name, hash }) => !sets.isPublished(name, hash, epoch),
  );
}

test('property: what is due is what looking at everything finds, and the routes come after the sets', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), (steps) => {
      const sets = new PublishedSets();
      let documents: ReadonlyMap<string, EncodedDocument> = new Map();
      let [epoch, generation] = [1, 0];
      const settle = (encoded: EncodedDocument): void => {
        generation += 1;
        sets.settle({ ...encoded, epoch, generation, at: '' });
      };
      for (const one of steps) {
        if (one.do === 'want') {
          const next = new Map(documents);
          if (one.weight === null) next.delete(one.service);
          else next.set(one.service, documentOf(one.service, one.weight));
          documents = next;
        } else if (one.do === 'unsettle') sets.unsettle(one.service);
        else if (one.do === 'settle') settle(documents.get(one.service) ?? documentOf(one.service, 9));
        else if (one.do === 'raise') epoch += 1;
        else if (one.do === 'begin') sets.begin([...sets.published.values()].slice(1), generation);
        const due = sets.due(documents, epoch);
        const names = due.map(({ service: name }) => name);
        expect(new Set(names).size).toBe(names.length);
        expect(new Map(due.map(({ service: name, hash }) => [name, hash]))).toEqual(
          new Map(dueByAll(sets, documents, epoch).map(({ service: name, hash }) => [name, hash])),
        );
        const [last, routes] = [names.findLastIndex((name) => documents.has(name)), names.indexOf(ROUTES)];
        if (documents.has(ROUTES) && routes >= 0) expect(routes).toBe(last);
        if (one.do === 'publish') for (const encoded of due) settle(encoded);
      }
    }),
  );
});
