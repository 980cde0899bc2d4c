import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withSecretFiles } from './secret_files.js';

let dir: string;
const file = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-secrets-'));
  writeFileSync(file('token'), '  s3cret\n');
  writeFileSync(file('redis'), 'redis://controller:pw@redis:6379/0\n');
  writeFileSync(file('empty'), '\n');
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('secrets in files', () => {
  it('are read and trimmed; everything else stays as it was', () => {
    const env = {
      EBBGATE_TOKEN_FILE: file('token'),
      EBBGATE_REDIS_FILE: file('redis'),
      EBBGATE_API: 'http://a',
    };
    expect(withSecretFiles(env)).toEqual({
      ok: true,
      value: { ...env, EBBGATE_TOKEN: 's3cret', EBBGATE_REDIS: 'redis://controller:pw@redis:6379/0' },
    });
  });

  it('are not needed', () => {
    const env = { EBBGATE_TOKEN: 'plain', EBBGATE_TOKEN_FILE: '' };
    expect(withSecretFiles(env)).toEqual({ ok: true, value: env });
  });

  it('must be there, not be empty, and be the only source: all faults at once, and no secret in them', () => {
    const both = {
      EBBGATE_TOKEN: 'plain',
      EBBGATE_TOKEN_FILE: file('token'),
      EBBGATE_REDIS_FILE: file('absent'),
    };
    const refused = withSecretFiles(both);
    expect(refused).toEqual({
      ok: false,
      error: [
        'EBBGATE_TOKEN_FILE: EBBGATE_TOKEN is set too; set one of them',
        expect.stringMatching(/^EBBGATE_REDIS_FILE: ENOENT.*absent/),
      ],
    });
    expect(JSON.stringify(refused)).not.toMatch(/s3cret|plain/);
    expect(withSecretFiles({ EBBGATE_TOKEN_FILE: file('empty') })).toEqual({
      ok: false,
      error: [`EBBGATE_TOKEN_FILE: ${file('empty')} is empty`],
    });
  });
});
