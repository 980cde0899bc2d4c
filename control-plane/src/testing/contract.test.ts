import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseDocument } from '../redis/documents.js';
import { parseHeartbeat } from '../redis/heartbeat.js';
import { CHANNELS, KEYS } from '../redis/keys.js';
import { buildEncoded } from './builders.js';

const contract = (path: string): string =>
  readFileSync(new URL(`../../../docs/contract/${path}`, import.meta.url), 'utf8');
const example = (name: string): string => contract(`examples/${name}.json`);

describe('the examples of the wire contract', () => {
  test.each(['set', 'set_full', 'tombstone', 'routes', 'keys'])(
    '%s.json is a document, written to the byte',
    (name) => {
      const parsed = parseDocument(example(name));
      expect(parsed).toMatchObject({ ok: true });
      if (!parsed.ok) return;
      const encoded = buildEncoded(parsed.value);
      expect(encoded.payload).toBe(example(name));
      expect(encoded.hash).toBe(createHash('sha1').update(example(name)).digest('hex'));
    },
  );

  test.each(['set', 'set_full'])('%s_v2.json is the same set in version 2, and shorter', (name) => {
    const [first, second] = [parseDocument(example(name)), parseDocument(example(`${name}_v2`))];
    expect(second).toMatchObject({ ok: true });
    expect(second).toEqual(first);
    expect(example(`${name}_v2`).length).toBeLessThan(example(name).length);
  });

  test.each(['heartbeat', 'heartbeat_health', 'heartbeat_breakers', 'heartbeat_problems'])(
    '%s.json is a heartbeat, and nothing of it is dropped',
    (name) => {
      const parsed = parseHeartbeat('gw-1', example(name));
      expect(parsed).toMatchObject({ ok: true });
      expect(parsed.ok && JSON.stringify(parsed.value)).toBe(example(name));
    },
  );
});

test('the keys and channels in use are those of the table in wire.md', () => {
  const rows = contract('wire.md').matchAll(/^\| (channel )?`(\{ebb\}[^`]*)`/gm);
  const written = [...rows].map(([, channel = '', key = '']) => channel + key);
  const used = Object.entries(KEYS).map(([name, key]) => {
    if (typeof key === 'string') return key;
    return key(name === 'set' ? '<name>' : '<id>');
  });
  const channels = Object.values(CHANNELS).map((channel) => `channel ${channel}`);
  expect([...used, ...channels].toSorted()).toEqual(written.toSorted());
});
