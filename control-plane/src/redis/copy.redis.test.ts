import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { encodeHead, joinCopy } from '../plan/copy_document.js';
import { describeCopyPlace } from '../testing/copy_place.contract.js';
import { createRecordingLog } from '../testing/log.js';
import { createRedisCopy } from './copy.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
import { COPY_KEYS, KEYS } from './keys.js';
import { loadScripts } from './scripts.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-redis-copy-'));
let redis: LocalProcess;
let person: Redis;
let url: string;
let script: string;

beforeAll(async () => {
  const port = await reservePort();
  redis = await launchRedis({ dir, port });
  url = `redis://127.0.0.1:${String(port)}`;
  person = new Redis(url);
  script = (await loadScripts(fileURLToPath(new URL('../../../lua/redis', import.meta.url)))).copy;
});
afterAll(async () => {
  person.disconnect();
  await redis.stop();
  rmSync(dir, { recursive: true });
});

describeCopyPlace('Redis', async () => {
  await person.flushall();
  const log = createRecordingLog();
  return {
    open: () => createRedisCopy({ url, log, clock, script, headOf: encodeHead, join: joinCopy }),
    close: () => Promise.resolve(),
  };
});

test('a controller that ends while it writes leaves the copies and whole records, and the next one goes on', async () => {
  await person.flushall();
  const place = createRedisCopy({
    ...{ url, log: createRecordingLog(), clock, script },
    ...{ headOf: encodeHead, join: joinCopy },
  });
  await place.start();
  await until(async () => expect((await place.read('newest')).ok).toBe(true));
  const copyOf = (rev: number) => ({
    ...{ epoch: 5, at: '2026-05-01T12:00:00.000Z', tokens: true },
    records: [{ record: 'intents/a', value: `{"rev":${String(rev)}}` }],
  });
  await must(place.replace(copyOf(1), false));
  await must(place.replace(copyOf(2), true));
  await must(place.audit.append(5, 0, [{ n: 1, text: '{"n":1}' }]));
  // The steps of a new copy up to the last one, which never comes; and the first of two parts of the audit.
  const { head, records, staged, previous, previousRecords, audit } = COPY_KEYS;
  const keys = [KEYS.meta, head, records, staged, previous, previousRecords, audit];
  const step = (...words: readonly string[]) => person.eval(script, keys.length, ...keys, ...words);
  await step('begin', '5', '0', '', '0');
  await step('stage', '5', '0', '', '0', 'intents/b', '{"rev":9}');
  await step('audit', '5', '1', '10000', '0', '0000000002', '{"n":2}');
  expect(await must(place.read('newest'))).toMatch(/"intents\/a","value":\{"rev":2\}\}\n\]/);
  expect(await must(place.read('previous'))).toMatch(/"rev":1/);
  expect(await must(place.audit.read())).toEqual(['{"n":1}', '{"n":2}']);
  expect(await must(place.audit.append(5, 1, [{ n: 2, text: '{"n":2}' }]))).toBe('conflict');
  expect(await must(place.audit.append(5, 2, [{ n: 3, text: '{"n":3}' }]))).toBe('done');
  await must(place.replace(copyOf(3), false));
  expect(await must(place.read('newest'))).not.toMatch(/intents\/b/);
  await place.close();
});
