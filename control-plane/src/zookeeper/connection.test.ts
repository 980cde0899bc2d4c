import { expect, test } from 'vitest';
import { createFakeClock } from '../testing/clock.js';
import { connect } from './connection.js';

test('a key that cannot be used is an answer, and nothing of that attempt happens later', async () => {
  const clock = createFakeClock();
  const tls = { cert: 'no certificate', key: 'no key' };
  const opened = await connect({
    ...{ server: { host: '127.0.0.1', port: 1 }, sessionTimeoutMs: 3_000, connectTimeoutMs: 1_000, clock },
    access: { credentials: [], credentialsFrom: '', tls },
  });
  expect(opened).toMatchObject({ ok: false, error: expect.stringMatching(/^TLS: /) as string });
  // The deadline of an attempt that never began would end the process.
  await clock.advance(10_000);
});
