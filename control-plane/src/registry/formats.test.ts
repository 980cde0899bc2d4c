import { expect, test } from 'vitest';
import { DEFAULT_FORMAT, parseFormatName, registryRoots } from './formats.js';

test('a format is found by its name, and an unknown one is answered with those that there are', () => {
  expect(parseFormatName('json')).toEqual({ ok: true, value: 'json' });
  expect(parseFormatName(DEFAULT_FORMAT).ok).toBe(true);
  for (const name of ['xml', '', 'JSON', 'toString', '__proto__']) {
    const found = parseFormatName(name);
    expect(found.ok ? '' : found.error).toContain(`no registry format "${name}"; it must be one of json`);
  }
});

test('every root gets its format, which refuses what is outside the networks', () => {
  const [root] = registryRoots([{ path: '/services', format: 'json' }], ['10.0.0.0/8']);
  expect(root).toMatchObject({ path: '/services', format: { name: 'json' } });
  const node = {
    service: 'shop',
    name: 'a',
    path: '/services/shop/providers/a',
    incarnation: '0a',
    persistent: false,
  };
  const parse = (host: string) =>
    root?.format.parse({ ...node, data: Buffer.from(JSON.stringify({ host, port: 80 })) });
  expect(parse('10.0.1.7')).toMatchObject({ ok: true });
  expect(parse('192.168.0.1')).toMatchObject({ ok: false, error: { code: 'forbidden_host' } });
});

test('a network that cannot be read throws', () => {
  expect(() => registryRoots([{ path: '/services', format: 'json' }], ['10'])).toThrow(
    /"10" must be a network/,
  );
});
