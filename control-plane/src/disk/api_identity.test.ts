import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Authority } from '../testing/certificates.js';
import { readClientIdentity, readServerIdentity } from './api_identity.js';
import { readKey } from './pem_files.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-identity-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});
const authority = new Authority(dir, 'ours');
const own = authority.sign('api', 'DNS:api.example,DNS:*.pool.example,IP:10.0.0.5,IP:::1');
const other = authority.sign('other');

function file(name: string, text: string, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function errorOf(files: { cert?: string; key?: string; clientCa?: string }) {
  const read = readServerIdentity({ ...own, clientCa: '', ...files });
  if (read.ok) throw new Error('it was taken');
  return read.error;
}

describe('what the API is served with', () => {
  it('has the end of the chain, and knows what it is for', () => {
    const read = readServerIdentity({ ...own, clientCa: authority.ca });
    if (!read.ok) throw new Error(read.error.message);
    const { cert, clientCa, ends, isFor } = read.value;
    expect([cert, clientCa]).toEqual([readFileSync(own.cert, 'utf8'), readFileSync(authority.ca, 'utf8')]);
    expect((ends - Date.now()) / 3_600_000).toBeCloseTo(48, 0);
    expect(['api.example', 'a.pool.example', '10.0.0.5', '::1'].map(isFor)).toEqual([true, true, true, true]);
    expect(['example', 'pool.example', '10.0.0.6', '::2'].map(isFor)).toEqual([false, false, false, false]);
  });

  it('of a chain the first end counts', () => {
    const short = authority.sign('short', 'DNS:x', { days: 1 });
    const chain = file('chain.pem', readFileSync(own.cert, 'utf8') + readFileSync(short.cert, 'utf8'));
    const read = readServerIdentity({ cert: chain, key: own.key, clientCa: '' });
    expect(read.ok && (read.value.ends - Date.now()) / 3_600_000).toBeCloseTo(24, 0);
  });

  it('a key of another certificate, and what is no key or no certificate, are named', () => {
    expect(errorOf({ key: other.key })).toEqual({
      of: 'key',
      message: `${other.key} is not the key of the certificate in ${own.cert}; write both anew`,
    });
    const locked = join(dir, 'locked.key');
    execFileSync('openssl', ['ec', '-in', own.key, '-aes128', '-passout', 'pass:x', '-out', locked], {
      stdio: 'ignore',
    });
    expect(errorOf({ key: locked }).message).toMatch(/no key that can be used; .* without a passphrase$/);
    const junk = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    expect(errorOf({ cert: file('junk.pem', junk) })).toMatchObject({ of: 'cert' });
    expect(errorOf({ cert: file('half.pem', junk.slice(0, 40)) }).message).toMatch(
      /cannot be read; write it anew/,
    );
    expect(errorOf({ clientCa: file('junk-ca.pem', junk) })).toMatchObject({ of: 'clientCa' });
    expect(errorOf({ clientCa: join(dir, 'none') }).message).toMatch(/none cannot be read: ENOENT/);
    const open = join(dir, 'open.key');
    copyFileSync(own.key, open);
    chmodSync(open, 0o644);
    expect(errorOf({ key: open }).message).toBe(`${open} can be read by everybody; chmod o= ${open}`);
  });

  it('a key that OpenSSL finds too short is refused here, and not when it is used', () => {
    const [cert, key] = [join(dir, 'weak.pem'), join(dir, 'weak.key')];
    const args = [
      'req',
      '-x509',
      '-newkey',
      'rsa:512',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      key,
      '-out',
      cert,
    ];
    execFileSync('openssl', args, { stdio: 'ignore' });
    expect(errorOf({ cert, key })).toEqual({
      of: 'cert',
      message: expect.stringMatching(/weak\.pem cannot be used: .*key too small; have another one made/),
    });
  });
});

it('a client believes an authority, shows a pair, both or neither', () => {
  const none = { ca: '', cert: '', key: '' };
  expect(readClientIdentity(none)).toEqual({ ok: true, value: {} });
  expect(readClientIdentity({ ...none, ca: authority.ca })).toEqual({
    ok: true,
    value: { ca: readFileSync(authority.ca, 'utf8') },
  });
  expect(readClientIdentity({ ca: authority.ca, ...own })).toMatchObject({
    ok: true,
    value: { cert: readFileSync(own.cert, 'utf8'), key: readFileSync(own.key, 'utf8') },
  });
  expect(readClientIdentity({ ...none, cert: own.cert, key: other.key })).toMatchObject({ ok: false });
});

it('refuses a key that everybody may read, and what is none', () => {
  expect(readKey(file('key.pem', '-----BEGIN PRIVATE KEY-----', 0o644))).toEqual({
    ok: false,
    error: expect.stringMatching(/can be read by everybody/),
  });
  expect(readKey(file('key.pem', '-----BEGIN EC PRIVATE KEY-----'))).toMatchObject({ ok: true });
  expect(readKey(file('key.pem', '-----BEGIN CERTIFICATE-----'))).toEqual({
    ok: false,
    error: expect.stringMatching(/no private key/),
  });
});
