import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { encodeHead, joinCopy } from '../plan/copy_document.js';
import { describeCopyPlace } from '../testing/copy_place.contract.js';
import { createRecordingLog } from '../testing/log.js';
import { createRedisCopy } from './copy.js';
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
