import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { addRender } from './render.js';

let out = '';
let err = '';

beforeEach(() => {
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

async function ebbgate(...args: string[]): Promise<void> {
  const program = new Command().exitOverride();
  addRender(program);
  await program.parseAsync(['render', ...args], { from: 'user' });
}

test('renders to stdout; a flag may be repeated', async () => {
  await ebbgate('--gateway-id', 'gw-7', '--listen', '127.0.0.1:1080', '--listen', '127.0.0.1:1081');
  expect(process.exitCode).toBeUndefined();
  expect(out).toContain('gateway_id = "gw-7"');
  expect(out).toContain('listen 127.0.0.1:1080;');
  expect(out).toContain('listen 127.0.0.1:1081;');
  expect(out).not.toContain('8080');
});

test('renders into a file', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'ebbgate-cli-')), 'nginx.conf');
  await ebbgate('--gateway-id', 'gw-7', '--buffer-requests', '--out', file);
  expect(out).toBe('');
  expect(readFileSync(file, 'utf8')).toContain('proxy_request_buffering on;');
});

test('lists every bad option with its flag and exits with 2', async () => {
  await ebbgate('--workers', '-1', '--trusted-proxy', 'a;} evil {', '--redis-host', 'x"y');
  expect(process.exitCode).toBe(2);
  expect(out).toBe('');
  const lines = err.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  for (const flag of ['--gateway-id', '--workers', '--trusted-proxy', '--redis-host'])
    expect(lines.some((line) => line.startsWith(`error: ${flag} `))).toBe(true);
});

test('a file that cannot be written is an error of --out', async () => {
  await ebbgate('--gateway-id', 'gw-7', '--out', '/no/such/dir/nginx.conf');
  expect(process.exitCode).toBe(1);
  expect(err).toMatch(/^error: --out/);
});

test('replaces a file as a whole, and writes in place where it cannot', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-cli-'));
  const file = join(dir, 'nginx.conf');
  writeFileSync(file, 'before');
  const reader = openSync(file, 'r'); // an nginx that reads it at this very moment
  await ebbgate('--gateway-id', 'gw-7', '--out', file);
  expect(readFileSync(reader, 'utf8')).toBe('before');
  closeSync(reader);
  expect(readFileSync(file, 'utf8')).toContain('gateway_id = "gw-7"');
  const link = join(dir, 'link.conf');
  symlinkSync(file, link);
  await ebbgate('--gateway-id', 'gw-8', '--out', link);
  expect(readFileSync(file, 'utf8')).toContain('gateway_id = "gw-8"');
  expect(readdirSync(dir).sort()).toEqual(['link.conf', 'nginx.conf']);
});

test('--help documents every option', async () => {
  await expect(ebbgate('--help')).rejects.toThrow();
  expect(out).toMatch(/--trusted-proxy <NETWORK>/);
  expect(out).toMatch(/Required\./);
  const help = out.replaceAll(/\s+/g, ' ');
  expect(help).toMatch(/--lua-dir <DIR> .* Lua code\. Default: that of this installation\./);
  expect(help).not.toContain('/usr/share/ebbgate/lua');
});
