import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ebbgate, listen, mutation, served, useApi } from '../testing/cli_rig.js';

useApi();

describe('finding the API', () => {
  it('sends the token of a file or of the environment', async () => {
    await served.api.close();
    served.api = listen(0, 's3cret');
    await served.api.start();
    served.url = `http://127.0.0.1:${String(served.api.address().port)}`;
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-token-'));
    try {
      writeFileSync(join(dir, 'token'), 's3cret\n');
      expect((await ebbgate('get services')).code).toBe(1);
      expect((await ebbgate('get services', { env: { EBBGATE_TOKEN: 's3cret' } })).code).toBe(0);
      expect((await ebbgate(`get services --token-file ${join(dir, 'token')}`)).code).toBe(0);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('asks the next controller where one does not answer, or cannot now; a change takes effect once', async () => {
    const silent = createServer(() => undefined); // it takes the request, and says nothing
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const away = `http://127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
    expect((await ebbgate(`get services --api ${away},${served.url}`)).code).toBe(0);
    await new Promise((resolve) => silent.close(resolve).closeAllConnections());
    const env = { EBBGATE_API: `${away},${served.url}` };
    expect((await ebbgate('get services', { env })).code).toBe(0);
    expect((await ebbgate('weight shop a=7', { env })).code).toBe(0);
    expect(mutation().context.idempotency_key).toMatch(/./);
    // One that says no is not asked to be overruled by another.
    served.plane.refusal = { code: 'guard_refused', detail: 'no' };
    expect((await ebbgate('weight shop a=8', { env })).code).toBe(5);
    served.plane.refusal = { code: 'no_leader', detail: 'nobody leads' };
    const refused = await ebbgate('weight shop a=8', { env });
    expect(refused).toMatchObject({ code: 7 });
    expect(refused.err).toMatch(/no_leader: nobody leads/);
    // The leader has gone, and who comes back has read nothing yet: the change waits for both.
    for (const code of ['no_leader', 'not_ready'] as const) {
      served.plane.refusal = { code, detail: 'not now' };
      let pauses = 0;
      const paused = (): void => {
        pauses += 1;
        if (pauses === 3) served.plane.refusal = null;
      };
      expect(await ebbgate('weight shop a=9', { env, paused })).toMatchObject({ code: 0 });
      expect(pauses).toBe(3);
    }
    // A single one that is not ready may stay so for long.
    served.plane.refusal = { code: 'not_ready', detail: 'not now' };
    expect(await ebbgate('weight shop a=9')).toMatchObject({ code: 7 });
    served.plane.refusal = null;
    await served.api.close();
    const nobody = await ebbgate('get services', { env });
    expect(nobody.code).toBe(7);
    for (const one of [away, served.url]) expect(nobody.err).toContain(`${one} cannot be reached`);
    expect(await ebbgate('get services --api http://a:1,b')).toMatchObject({ code: 2 });
  });

  it('prefers --api', async () => {
    expect(
      (await ebbgate(`get services --api ${served.url}/`, { env: { EBBGATE_API: 'http://127.0.0.1:1' } }))
        .code,
    ).toBe(0);
  });
});

it('shows its version and its help', async () => {
  expect(await ebbgate('--version')).toEqual({ code: 0, out: '9.9.9\n', err: '' });
  const help = await ebbgate('--help');
  expect(help.code).toBe(0);
  expect(help.out).toContain('Exit codes: 0 ok');
});
