import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ebbgate, listen, served, useApi } from '../testing/cli_rig.js';

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
