import { expect, test } from 'vitest';
import type { Registration } from '../model/registration.js';
import { err, ok } from '../model/result.js';
import { composeView, type ParsedNode } from './view.js';

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

test('instances are sorted by service, then id, by code unit; services by name', () => {
  const view = composeView([
    { kind: 'service', service: 'shop' },
    { kind: 'service', service: 'cart' },
    instance({ id: 'b' }),
    instance({ id: 'B' }),
    instance({ service: 'cart', id: 'z' }),
    { kind: 'nothing' },
  ]);
  expect(view.services).toEqual(['cart', 'shop']);
  expect(view.instances.map(({ service, id }) => `${service}/${id}`)).toEqual(['cart/z', 'shop/B', 'shop/b']);
  expect(view.problems).toEqual([]);
});

test.each([
  ['older first', ['01', '02']],
  ['younger first', ['02', '01']],
])('of two addresses with one id the younger is used, the older is a problem (%s)', (_, order) => {
  const view = composeView(
    order.map((incarnation) =>
      instance({
        incarnation,
        path: `/p/${incarnation}`,
        host: incarnation === '01' ? '10.0.0.1' : '10.0.0.2',
      }),
    ),
  );
  expect(view.instances.map(({ host }) => host)).toEqual(['10.0.0.2']);
  expect(view.problems).toMatchObject([
    { code: 'duplicate_id', path: '/p/01', field: 'id', service: 'shop' },
  ]);
});

test('a registrar that came back before its old session ended is no problem', () => {
  const view = composeView([
    instance({ incarnation: '02', path: '/p/2', version: 'v2' }),
    instance({ incarnation: '01', path: '/p/1', version: 'v1', leaving: true }),
  ]);
  expect(view.instances).toMatchObject([{ version: 'v2', leaving: false }]);
  expect(view.problems).toEqual([]);
});

test('the same id in two services is two instances', () => {
  expect(composeView([instance({}), instance({ service: 'cart' })]).instances).toHaveLength(2);
});

test('problems of nodes pass through', () => {
  const problem = { service: 'shop', path: '/p', code: 'bad_json', field: '', message: 'x' } as const;
  const view = composeView([
    { kind: 'instance', result: err(problem) },
    { kind: 'problem', problem: { ...problem, code: 'bad_service_name', path: '/o' } },
  ]);
  expect(view.problems.map(({ path }) => path)).toEqual(['/o', '/p']);
});
