import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { readAccess, readCredentials } from './access.js';
import { accessFilesOf } from './access_fields.js';
import { aclAt, OPEN, parseAcl, sameAcl, spellAcl } from './acl.js';
import { digestId, parseCredentials } from './credentials.js';

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-access-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function file(name: string, text: string, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('credentials', () => {
  test('a user a line, the newest first or last: order does not matter; comments and empty lines are skipped', () => {
    const text = '# ours\n\ndigest:ebbgate:new:er \n  digest:ebbgate:old\n';
    expect(parseCredentials(text)).toEqual({
      ok: true,
      value: [
        { user: 'ebbgate', password: 'new:er' },
        { user: 'ebbgate', password: 'old' },
      ],
    });
  });

  test.each([
    ['', 'it has no line digest:user:password'],
    ['# nobody', 'it has no line digest:user:password'],
    ['ebbgate:secret', 'line 1 must be digest:user:password, without spaces'],
    ['digest:a:b\nsasl:ebbgate:secret', 'line 2 must be digest:user:password, without spaces'],
    ['digest:ebbgate:', 'line 1 must be digest:user:password, without spaces'],
    ['digest:ebbgate:se cret', 'line 1 must be digest:user:password, without spaces'],
  ])('%j is refused, and not repeated', (text, error) => {
    expect(parseCredentials(text)).toEqual({ ok: false, error });
  });

  test('the id is what ZooKeeper computes: the example of its documentation', () => {
    // `addauth digest user1:12345` on ZooKeeper 3.8, read back with getAcl.
    expect(digestId({ user: 'user1', password: '12345' })).toBe('user1:+owfoSBn/am19roBPzR1/MfCblE=');
  });

  test('a file that everybody may read is refused, with the remedy and without the password', () => {
    const path = file('open', 'digest:ebbgate:secret', 0o644);
    expect(readCredentials(path)).toEqual({
      ok: false,
      error: `${path} can be read by everybody; chmod o= ${path}`,
    });
    chmodSync(path, 0o640);
    expect(readCredentials(path)).toMatchObject({ ok: true });
  });

  test('a file that is not there, or contains something else, is named', () => {
    expect(readCredentials(join(dir, 'none'))).toMatchObject({
      error: expect.stringMatching(/none cannot be read: .*ENOENT/),
    });
    const path = file('other', 'secret');
    const read = readCredentials(path);
    expect(read).toEqual({
      ok: false,
      error: `${path}: line 1 must be digest:user:password, without spaces`,
    });
  });
});

describe('TLS files', () => {
  it('is read when it is asked for, each time', () => {
    const ca = file('ca.pem', '-----BEGIN CERTIFICATE-----\none');
    const files = { auth: '', tls: { ca, cert: '', key: '' } };
    expect(readAccess(files)).toMatchObject({
      ok: true,
      value: { tls: { ca: expect.stringMatching(/one/) } },
    });
    file('ca.pem', '-----BEGIN CERTIFICATE-----\ntwo');
    expect(readAccess(files)).toMatchObject({
      ok: true,
      value: { tls: { ca: expect.stringMatching(/two/) } },
    });
    file('ca.pem', 'nothing');
    expect(readAccess(files)).toEqual({ ok: false, error: `${ca} has no certificate in PEM` });
  });

  const names = { tls: 'TLS=on', ca: 'CA', cert: 'CERT', key: 'KEY' };
  const off = { auth: 'a', tls: 'off', ca: '', cert: '', key: '' } as const;
  it.each([
    [off, { ok: true, value: { auth: 'a', tls: null } }],
    [
      { ...off, tls: 'on' },
      { ok: true, value: { auth: 'a', tls: { ca: '', cert: '', key: '' } } },
    ],
    [
      { ...off, ca: '/ca' },
      { ok: false, error: 'CA: needs TLS=on' },
    ],
    [
      { ...off, tls: 'on', cert: '/c' },
      { ok: false, error: 'KEY: is missing; CERT needs its key' },
    ],
    [
      { ...off, tls: 'on', key: '/k' },
      { ok: false, error: 'CERT: is missing; KEY needs its certificate' },
    ],
  ] as const)('of %j', (choice, expected) => {
    expect(accessFilesOf(choice, names)).toEqual(expected);
  });
});

describe('ACLs', () => {
  const hash = digestId({ user: 'ops', password: 'secret' });

  test.each([
    ['none', ''],
    ['world:anyone:r', 'world:anyone:r'],
    ['world:anyone:cdrwa', 'world:anyone:cdrwa'],
    [`digest:${hash}:wr, ip:10.0.0.0/8:r`, `digest:${hash}:rw,ip:10.0.0.0/8:r`],
    ['sasl:ops@EXAMPLE:r', 'sasl:ops@EXAMPLE:r'],
  ])('%s', (text, spelled) => {
    const parsed = parseAcl(text);
    expect(parsed.ok && spellAcl(parsed.value)).toBe(spelled);
  });

  test.each([
    ...['world:anyone', 'world:ann:r', 'world:anyone:x', 'auth::r', 'ip:anyone:r', 'digest:ops:secret:r', ''],
    'none,world:anyone:r',
  ])('%j is refused', (text) => {
    expect(parseAcl(text)).toMatchObject({
      ok: false,
      error: expect.stringMatching(/must be none, or entries/),
    });
  });

  test('a node gets that of the root it is nearest to; above the roots, and without credentials, it is open', () => {
    const anyone = (permissions: number) => ({ scheme: 'world', id: 'anyone', permissions });
    const rules = {
      own: { root: '/a/ebbgate', others: [] },
      registry: { roots: ['/a', '/b'], others: [anyone(1)] },
    };
    const users = [{ user: 'ops', password: 'secret' }];
    const ours = { scheme: 'digest', id: hash, permissions: 31 };
    expect(aclAt('/a/ebbgate/intents', rules, users)).toEqual([ours]);
    expect(aclAt('/a/ebbgate', rules, users)).toEqual([ours]);
    expect(aclAt('/a/ebbgates', rules, users)).toEqual([ours, anyone(1)]);
    expect(aclAt('/b/shop/providers/x', rules, users)).toEqual([ours, anyone(1)]);
    expect(aclAt('/c', rules, users)).toEqual(OPEN);
    expect(aclAt('/a/ebbgate', rules, [])).toEqual(OPEN);
    expect(sameAcl([ours, anyone(1)], [anyone(1), ours, ours])).toBe(true);
    expect(sameAcl([ours], [ours, anyone(1)])).toBe(false);
  });
});
