import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Registration, RegistryProblem } from '../../model/registration.js';
import type { Result } from '../../model/result.js';
import { parseNetworks } from '../networks.js';
import { jsonFormat, MAX_PROVIDER_BYTES } from './json.js';

const allowed = parseNetworks([]);
if (!allowed.ok) throw new Error(allowed.error);
const format = jsonFormat(allowed.value);

function parse(data: Buffer | string): Result<Registration, RegistryProblem> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const path = '/services/shop/providers/a';
  return format.parse({
    service: 'shop',
    name: 'a',
    path,
    data: bytes,
    incarnation: '0a',
    persistent: false,
  });
}

const BASE = { host: '10.0.1.7', port: 8080 };
const DEFAULTS: Registration = {
  service: 'shop',
  id: '10.0.1.7:8080',
  host: '10.0.1.7',
  port: 8080,
  version: '',
  weight: 100,
  zone: '',
  backup: false,
  labels: {},
  ready: true,
  leaving: false,
  persistent: false,
  path: '/services/shop/providers/a',
  incarnation: '0a',
};

describe('good nodes', () => {
  test.each<[string, object, Partial<Registration>]>([
    ['only the address', {}, {}],
    [
      'null is absent',
      {
        id: null,
        version: null,
        weight: null,
        zone: null,
        backup: null,
        labels: null,
        ready: null,
        leaving: null,
      },
      {},
    ],
    ['unknown members', { color: 'red', v: 9 }, {}],
    ['an id', { id: 'shop-1' }, { id: 'shop-1' }],
    ['an IPv6 host', { host: 'FD00::7' }, { id: '[fd00::7]:8080', host: 'fd00::7' }],
    ['a version', { version: 'v2.1+7' }, { version: 'v2.1+7' }],
    ['empty version and zone', { version: '', zone: '' }, {}],
    ['weight 0', { weight: 0 }, { weight: 0 }],
    ['the highest weight', { weight: 10_000 }, { weight: 10_000 }],
    ['a zone', { zone: 'eu-1a' }, { zone: 'eu-1a' }],
    ['labels', { labels: { team: 'shop', 'a.b/c': '' } }, { labels: { team: 'shop', 'a.b/c': '' } }],
    ['a backup', { backup: true }, { backup: true }],
    ['not ready', { ready: false }, { ready: false }],
    ['leaving', { leaving: true }, { leaving: true }],
  ])('%s', (_, members, expected) => {
    const parsed = parse(JSON.stringify({ ...BASE, ...members }));
    expect(parsed).toEqual({ ok: true, value: { ...DEFAULTS, ...expected } });
  });
});

describe('bad nodes', () => {
  test.each<[string, string | Buffer, RegistryProblem['code'], string]>([
    ['no bytes', '', 'bad_json', ''],
    ['no JSON', 'host=10.0.1.7', 'bad_json', ''],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'bad_json', ''],
    ['an array', '[]', 'bad_json', ''],
    ['null', 'null', 'bad_json', ''],
    ['too long', JSON.stringify({ ...BASE, pad: 'x'.repeat(MAX_PROVIDER_BYTES) }), 'too_large', ''],
    ['no host', '{"port":1}', 'bad_field', 'host'],
    ['a number as host', '{"host":1,"port":1}', 'bad_field', 'host'],
    ['a name as host', '{"host":"localhost","port":1}', 'forbidden_host', 'host'],
    ['loopback', '{"host":"127.0.0.1","port":1}', 'forbidden_host', 'host'],
    ['no port', '{"host":"10.0.0.1"}', 'bad_field', 'port'],
    ...[0, 65_536, 1.5, '"80"', -1].map((port): [string, string, RegistryProblem['code'], string] => [
      `port ${port}`,
      `{"host":"10.0.0.1","port":${port}}`,
      'bad_field',
      'port',
    ]),
    ...(
      [
        ['id', ''],
        ['id', 'a b'],
        ['id', 'a|b'],
        ['id', 'a/b'],
        ['id', 7],
        ['version', 'v 2'],
        ['version', 2],
        ['weight', -1],
        ['weight', 10_001],
        ['weight', 1.5],
        ['weight', '100'],
        ['zone', 'eu/1'],
        ['backup', 'yes'],
        ['labels', []],
        ['labels', 'team=shop'],
        ['labels', { 'a b': 'x' }],
        ['labels', Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, '']))],
        ['ready', 'yes'],
        ['leaving', 1],
      ] as const
    ).map(([field, value]): [string, string, RegistryProblem['code'], string] => [
      `${field} = ${JSON.stringify(value).slice(0, 30)}`,
      JSON.stringify({ ...BASE, [field]: value }),
      'bad_field',
      field,
    ]),
    [
      'a label that turns the direction',
      JSON.stringify({ ...BASE, labels: { team: 'a\u202eb' } }),
      'bad_field',
      'labels.team',
    ],
    [
      'a label that is no string',
      JSON.stringify({ ...BASE, labels: { team: 1 } }),
      'bad_field',
      'labels.team',
    ],
    [
      'a label named __proto__',
      '{"host":"10.0.0.1","port":1,"labels":{"__proto__":"x"}}',
      'bad_field',
      'labels',
    ],
  ])('%s', (_, data, code, field) => {
    const parsed = parse(data);
    expect(parsed).toMatchObject({ ok: false, error: { service: 'shop', code, field, path: DEFAULTS.path } });
    if (!parsed.ok) expect(parsed.error.message).not.toBe('');
  });

  test('no bytes at all make it throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parse(Buffer.from(bytes))));
    fc.assert(fc.property(fc.jsonValue(), (value) => void parse(JSON.stringify(value))));
  });
});

test.each([
  [[], { kind: 'list' }],
  [['shop'], { kind: 'list', service: 'shop' }],
  [['shop', 'providers'], { kind: 'list' }],
  [['shop', 'providers', 'a'], { kind: 'instance', service: 'shop' }],
  [['shop', 'providers', 'a', 'b'], { kind: 'ignore' }],
  [['shop', 'consumers'], { kind: 'ignore' }],
  [['shop', 'consumers', 'a'], { kind: 'ignore' }],
])('the place of %j', (names, place) => {
  expect(format.place(names)).toEqual(place);
});
