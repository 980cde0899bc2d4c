import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { productRoot, readTemplates } from '../cli/product.js';
import type { GivenOptions } from './options.js';
import { renderConf } from './render.js';

const run = promisify(execFile);
const templates = readTemplates(productRoot());

/** What `nginx -t` says of the rendered conf; a Lua stub is in, since the conf is what is asked about. */
async function check(given: (dir: string) => GivenOptions): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-render-'));
  mkdirSync(join(dir, 'lua', 'ebbgate'), { recursive: true });
  writeFileSync(join(dir, 'lua', 'ebbgate', 'init.lua'), 'return { init = function() end }');
  const common = { gateway_id: 'gw-1', run_dir: dir, lua_dir: join(dir, 'lua') };
  const builtin = process.env.EBBGATE_NGINX?.includes('openresty') ? { lua_module: 'builtin' } : {};
  const rendered = renderConf({ ...common, ...builtin, ...given(dir) }, templates, '0.1.0');
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.error));
  const file = join(dir, 'nginx.conf');
  writeFileSync(file, rendered.value);
  const said = await run(process.env.EBBGATE_NGINX ?? 'nginx', [
    '-t',
    '-e',
    'stderr',
    '-p',
    dir,
    '-c',
    file,
  ]).then(
    ({ stderr }) => stderr,
    (error: unknown) => (error as { stderr: string }).stderr,
  );
  // From 1.25 on `listen … http2` is said to be deprecated; 1.22 knows nothing else.
  return said.replace(/^.*\[warn\].* "listen \.\.\. http2" directive is deprecated.*\n/gm, '');
}

test('nginx accepts the defaults without a warning', async () => {
  const said = await check(() => ({}));
  expect(said).toContain('test is successful');
  expect(said).not.toMatch(/\[(warn|alert|emerg)\]/);
});

test('nginx accepts every option at once', async () => {
  const said = await check((dir) => {
    const [cert, key] = [join(dir, 'tls.pem'), join(dir, 'tls.key')];
    const subject = ['-subj', '/CN=gateway', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], {
      stdio: 'ignore',
    });
    return {
      listen: [
        '127.0.0.1:18080',
        '[::1]:18081',
        `127.0.0.1:18443,cert=${cert},key=${key},http2`,
        '127.0.0.1:18082,http2',
      ],
      workers: 2,
      worker_shutdown_timeout: '10m',
      redis_host: 'redis.internal',
      resolver: ['127.0.0.53', '::1'],
      redis_username: 'gateway',
      trusted_proxies: ['10.0.0.0/8', '10.0.0.7/8', '192.0.2.7', '2001:db8::/32'],
      client_max_body: '100m',
      buffer_requests: true,
      buffer_responses: true,
      upstream_tls: [
        `internal,server_name=a.internal,ca=${cert},cert=${cert},key=${key}`,
        'default,server_name=b.example',
      ],
      log_fields: ['user_agent=http_user_agent', 'etag=upstream_http_etag'],
      error_log: 'stderr',
      error_log_level: 'warn',
    };
  });
  expect(said).toContain('test is successful');
  expect(said).not.toMatch(/\[(warn|alert|emerg)\]/);
});

test('a conf that nginx cannot read is reported', async () => {
  expect(await check(() => ({ listen: ['127.0.0.1:18443,cert=/no/such.pem,key=/no/such.key'] }))).toMatch(
    /no\/such\.pem/,
  );
});
