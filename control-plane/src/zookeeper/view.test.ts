import fc from 'fast-check';
import { expect, test } from 'vitest';
import { registrationsIn, type Registration, type RegistryView } from '../model/registration.js';
import { err, ok } from '../model/result.js';
import { composeService, composeView, recomposeView, type ParsedNode, type ServiceView } from './view.js';

function instance(over: Partial<Registration>): ParsedNode {
  const base: Registration = {
    service: 'shop',
    id: 'a',
    host: '10.0.0.1',
    port: 80,
    version: '',
    weight: 100,
    zone: '',
    backup: false,
    labels: {},
    ready: true,
    leaving: false,
    persistent: false,
    path: `/services/shop/providers/${over.path ?? 'a'}`,
    incarnation: '01',
  };
  return { kind: 'instance', result: ok({ ...base, ...over }) };
}

/** The service that a node belongs to. */
function serviceOf(node: ParsedNode): string | null {
  if (node.kind === 'service' || node.kind === 'stray') return node.service;
  if (node.kind === 'instance') return node.result.ok ? node.result.value.service : node.result.error.service;
  return null;
}

function viewOf(nodes: readonly ParsedNode[]): RegistryView {
  const services = new Map<string | null, readonly ParsedNode[]>();
  for (const node of nodes) services.set(serviceOf(node), [...(services.get(serviceOf(node)) ?? []), node]);
  return composeView(new Map([...services].map(([service, said]) => [service, composeService(said)])));
}

test('instances are sorted by service, then id, by code unit; services by name', () => {
  const view = viewOf([
    { kind: 'service', service: 'shop' },
    { kind: 'service', service: 'cart' },
    instance({ id: 'b' }),
    instance({ id: 'B' }),
    instance({ service: 'cart', id: 'z' }),
    { kind: 'nothing' },
  ]);
  expect(view.services).toEqual(['cart', 'shop']);
  expect(registrationsIn(view).map(({ service, id }) => `${service}/${id}`)).toEqual([
    'cart/z',
    'shop/B',
    'shop/b',
  ]);
  expect(view.problems).toEqual([]);
});

test.each([
  ['older first', ['01', '02']],
  ['younger first', ['02', '01']],
])('of two addresses with one id the younger is used, the older is a problem (%s)', (_, order) => {
  const view = viewOf(
    order.map((incarnation) =>
      instance({
        incarnation,
        path: `/p/${incarnation}`,
        host: incarnation === '01' ? '10.0.0.1' : '10.0.0.2',
      }),
    ),
  );
  expect(registrationsIn(view).map(({ host }) => host)).toEqual(['10.0.0.2']);
  expect(view.problems).toMatchObject([
    { code: 'duplicate_id', path: '/p/01', field: 'id', service: 'shop' },
  ]);
});

test('a registrar that came back before its old session ended is no problem', () => {
  const view = viewOf([
    instance({ incarnation: '02', path: '/p/2', version: 'v2' }),
    instance({ incarnation: '01', path: '/p/1', version: 'v1', leaving: true }),
  ]);
  expect(registrationsIn(view)).toMatchObject([{ version: 'v2', leaving: false }]);
  expect(view.problems).toEqual([]);
});

test('the same id in two services is two instances', () => {
  expect(registrationsIn(viewOf([instance({}), instance({ service: 'cart' })]))).toHaveLength(2);
});

test('problems of nodes pass through', () => {
  const problem = { service: 'shop', path: '/p', code: 'bad_json', field: '', message: 'x' } as const;
  const view = viewOf([
    { kind: 'instance', result: err(problem) },
    { kind: 'problem', problem: { ...problem, code: 'bad_service_name', path: '/o' } },
  ]);
  expect(view.problems.map(({ path }) => path)).toEqual(['/o', '/p']);
});

test('what did not change is the same object in the next view', () => {
  const problem = { service: null, path: '/p', code: 'bad_service_name', field: '', message: 'x' } as const;
  const services = new Map([
    ['cart', composeService([{ kind: 'service', service: 'cart' }, instance({ service: 'cart' })])],
    ['shop', composeService([{ kind: 'service', service: 'shop' }, instance({})])],
    [null, composeService([{ kind: 'problem', problem }])],
  ]);
  const before = composeView(services);
  const shop = composeService([{ kind: 'service', service: 'shop' }, instance({ weight: 7 })]);
  const after = composeView(new Map([...services, ['shop', shop]]), before);
  expect(after.instances.get('cart')).toBe(before.instances.get('cart'));
  expect(after.instances.get('shop')?.get('a')?.weight).toBe(7);
  for (const name of ['problems', 'unread', 'services'] as const) expect(after[name]).toBe(before[name]);
  expect(composeView(new Map([...services].slice(1)), after).services).toEqual(['shop']);
});

const badJson: ParsedNode = {
  kind: 'instance',
  result: err({ service: 'shop', path: '/p', code: 'bad_json', field: '', message: 'x' }),
};
const unread: ParsedNode = {
  kind: 'unread',
  node: { path: '/u', service: 'shop', reason: 'no auth' },
  problem: { service: 'shop', path: '/u', code: 'unreadable_node', field: '', message: 'x' },
};

test('property: a view after changes is the one that is composed of everything', () => {
  const node = fc.oneof(
    fc.nat(3).map((weight) => instance({ weight })),
    fc.constantFrom(badJson, unread, { kind: 'service', service: 'shop' } as const),
  );
  const nodes = fc
    .array(node, { maxLength: 3 })
    .map((list) => [...list, { kind: 'service', service: 'shop' } as const]);
  const change = fc.record({
    service: fc.constantFrom(null, 'cart', 'orders', 'shop'),
    said: fc.option(fc.oneof(nodes, fc.array(node, { maxLength: 3 })), { nil: null, freq: 6 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 5, maxLength: 30, size: 'max' }), (changes) => {
      const services = new Map<string | null, ServiceView>();
      let view = composeView(services);
      for (const { service, said } of changes) {
        const was = services.get(service);
        const is = said === null ? undefined : composeService(said);
        if (is) services.set(service, is);
        else services.delete(service);
        const recomposed = recomposeView(view, new Map([[service, { was, is }]]));
        const whole = composeView(services, view);
        if (recomposed) {
          expect([...recomposed.instances]).toEqual([...whole.instances]);
          expect(recomposed).toEqual(whole);
        }
        view = recomposed ?? whole;
      }
    }),
  );
});
