import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { productRoot, productVersion, readTemplates } from '../cli/product.js';
import { parseRegisterFlags } from '../cli/register_options.js';
import { parseConfig } from '../config.js';
import { reservePort } from '../local/port_reservation.js';
import { launch, type LocalProcess } from '../local/process.js';
import { ask } from '../local/redis.js';
import { parseRedisUrl } from '../model/redis_url.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts } from '../redis/scripts.js';
import { GATEWAY_OPTIONS } from '../render/options.js';
import { renderConf } from '../render/render.js';
import { createRecordingLog } from './log.js';

/*
 * "From nothing to running" of docs/how-to/run-in-production.md: the commands of the page are run with what would change this machine
 * replaced, and what they write is what servers and the product take.
 */

const root = productRoot();
const page = readFileSync(join(root, 'docs/how-to/run-in-production.md'), 'utf8');
const blocks = [...page.matchAll(/^```(?:sh|console)\n(.*?)^```$/gms)].map((match) => match[1]!);
const blockWith = (text: string): string => {
  const found = blocks.filter((block) => block.includes(text));
  if (found.length !== 1) throw new Error(`${String(found.length)} blocks have ${text}`);
  return found[0]!;
};
const HOSTS = ['10.0.0.11', '10.0.0.12', '10.0.0.13'] as const;

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-production-'));
const ports = new Map<string, { readonly redis: number; readonly sentinel: number }>();
const running: LocalProcess[] = [];
const secret = (file: string): string => readFileSync(join(dir, 'secrets', file), 'utf8').trim();

/** Runs a block as root would on a host, in directories of this test. */
function run(block: string, home: string): void {
  const stubs = `apt() { :; }
systemctl() { :; }
scp() { :; }
npm() { :; }
install() {
  for last; do :; done
  while [ $# -gt 1 ]; do
    case $1 in -*) shift ;; *) cp "$1" "$last" ;; esac
    shift
  done
}
`;
  const script = block.replaceAll('/etc/', `${home}/etc/`).replaceAll('/var/lib/', `${home}/var/lib/`);
  const ran = spawnSync('/bin/sh', ['-euc', stubs + script], { cwd: home, encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(ran.stderr);
}

/** The same conf for a server that is here. */
function here(conf: string, port: number): string {
  const moved = [...ports].reduce(
    (text, [host, one]) => text.replaceAll(`${host} 6379`, `127.0.0.1 ${String(one.redis)}`),
    conf,
  );
  return moved.replace(/^bind .*$/m, 'bind 127.0.0.1').replace(/^port .*$/m, `port ${String(port)}`);
}

async function start(
  name: string,
  port: number,
  file: string,
  ...flags: readonly string[]
): Promise<LocalProcess> {
  writeFileSync(file, here(readFileSync(file, 'utf8'), port));
  const server = await launch({
    ...{ name, command: 'redis-server', args: [file, ...flags], logFile: `${file}.log` },
    ready: () => ask(port, 'PING\r\n', 'NOAUTH'),
  });
  running.push(server);
  return server;
}

function asSentinel(port: number, ...words: readonly string[]): string {
  const env = { ...process.env, REDISCLI_AUTH: secret('redis/sentinel-password') };
  const login = ['-p', String(port), '--no-auth-warning', '--user', 'sentinel'];
  return spawnSync('redis-cli', [...login, ...words], { env, encoding: 'utf8' }).stdout;
}

beforeAll(() => {
  const checkout = blockWith('make-secrets.sh').replaceAll('control-plane/', `${root}/control-plane/`);
  run(checkout, dir);
});
afterAll(async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(dir, { recursive: true });
});

it('makes secrets that nobody else on the machine can read', () => {
  const modes = spawnSync('find', [join(dir, 'secrets'), '-perm', '/077'], { encoding: 'utf8' });
  expect(modes.stdout).toBe('');
  expect(secret('zookeeper.auth')).toMatch(/^digest:ebbgate:[0-9a-f]{64}$/);
});

describe('Redis and its sentinels', () => {
  it('follow one another, promote a replica when the master dies, and let the controller publish there', async () => {
    const masters = new Map<string, LocalProcess>();
    for (const host of HOSTS) {
      ports.set(host, { redis: await reservePort(), sentinel: await reservePort() });
      const home = join(dir, host);
      for (const place of ['etc/redis', 'var/lib/redis']) mkdirSync(join(home, place), { recursive: true });
      spawnSync('cp', ['-r', join(dir, 'secrets/redis'), join(home, 'ebbgate-redis')]);
      run(blockWith('/etc/redis/redis.conf').replace('me=10.0.0.11', `me=${host}`), home);
    }
    for (const [host, { redis }] of ports)
      masters.set(host, await start(`Redis ${host}`, redis, join(dir, host, 'etc/redis/redis.conf')));
    for (const [host, { sentinel }] of ports)
      await start(`sentinel ${host}`, sentinel, join(dir, host, 'etc/redis/sentinel.conf'), '--sentinel');
    const [first, ...others] = [...ports.values()];
    await vi.waitFor(
      () => {
        for (const { redis } of others)
          expect(asSentinel(redis, 'ROLE')).toMatch(/^slave\n.*\n.*\nconnected\n/);
        for (const [host] of ports)
          expect(
            readFileSync(join(dir, host, 'etc/redis/sentinel.conf'), 'utf8').match(/known-sentinel/g),
          ).toHaveLength(2);
      },
      { timeout: 30_000 },
    );
    process.kill(masters.get('10.0.0.11')!.pid, 'SIGKILL');
    await vi.waitFor(
      () =>
        expect(others.map(({ redis }) => asSentinel(redis, 'ROLE').split('\n')[0]).toSorted()).toEqual([
          'master',
          'slave',
        ]),
      { timeout: 30_000 },
    );
    const sentinels = [...ports.values()].map(({ sentinel }) => `127.0.0.1:${String(sentinel)}`).join(',');
    const url = secret('controller/redis-url').replace(HOSTS.join(','), sentinels);
    const scripts = await loadScripts(join(root, 'lua/redis'));
    await using publisher = createPublisher({
      url,
      log: createRecordingLog(),
      clock,
      scripts,
      commandTimeoutMs: 10_000,
    });
    await publisher.start();
    await vi.waitFor(() => expect(publisher.state().state).toBe('connected'), { timeout: 30_000 });
    expect(await publisher.open(7)).toMatchObject({ kind: 'opened' });
    expect(first).toBeDefined();
  });
});

describe('the product takes', () => {
  it('the environment of the controllers', () => {
    const lines = blockWith('EBBGATE_API_ADVERTISE').match(/^EBBGATE_.*$/gm)!;
    const env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
    expect(Object.keys(env)).toHaveLength(6);
    const given = {
      ...env,
      EBBGATE_ZOOKEEPER_AUTH_FILE: join(dir, 'secrets/zookeeper.auth'),
      EBBGATE_TOKEN: secret('controller/token'),
      EBBGATE_REDIS: secret('controller/redis-url'),
    };
    const parsed = parseConfig(given);
    expect(parsed.ok ? [] : parsed.error).toEqual([]);
  });

  it('the conf of a gateway, which asks the sentinels that the controllers ask', () => {
    const words = blockWith('--redis ')
      .replaceAll('$n', '1')
      .replaceAll(/\\\n/g, ' ')
      .matchAll(/--([a-z-]+) ('[^']*'|\S+)/g);
    const flags = [...words].map(([, flag, value]) => [flag!, value!.replaceAll("'", '')] as const);
    const given = flags
      .filter(([flag]) => flag !== 'out')
      .map(([flag, value]) => {
        const [name, { default: fallback }] = Object.entries(GATEWAY_OPTIONS).find(
          ([, one]) => one.flag === `--${flag}`,
        )!;
        return [name, Array.isArray(fallback) ? [value] : value];
      });
    expect(renderConf(Object.fromEntries(given), readTemplates(root), productVersion())).toMatchObject({
      ok: true,
    });
    const [ofGateway, ofController] = [new Map(flags).get('redis')!, secret('controller/redis-url')].map(
      (url) => parseRedisUrl(url),
    );
    if (!ofGateway?.ok || !ofController?.ok) throw new Error('a URL of the page does not pass');
    expect(ofGateway.value).toMatchObject({ nodes: ofController.value.nodes, name: ofController.value.name });
    expect(ofGateway.value.username).toBe('gateway');
  });

  it('the words of the registrar', () => {
    const block = blockWith('ebbgate register');
    const [, zookeeper] = /EBBGATE_ZOOKEEPER=(\S+)/.exec(block)!;
    const flags = [...block.matchAll(/ --([a-z-]+) (\S+)(?=.* -- )/g)].map(([, flag, value]) => [
      flag!.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]);
    expect(flags.length).toBeGreaterThan(5);
    expect(parseRegisterFlags({ ...Object.fromEntries(flags), zookeeper })).toMatchObject({ ok: true });
  });
});
