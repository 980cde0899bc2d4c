import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { productRoot, readTemplates } from '../cli/product.js';
import { draws } from '../testing/draws.js';
import { GATEWAY_OPTIONS, type GatewayOption, type GivenOptions } from './options.js';
import { parseOptions } from './parse_options.js';
import { renderConf } from './render.js';

const root = productRoot();
const templates = readTemplates(root);
const NAMES = Object.keys(GATEWAY_OPTIONS) as (keyof typeof GATEWAY_OPTIONS)[];
const flagOf = (name: keyof typeof GATEWAY_OPTIONS): string => GATEWAY_OPTIONS[name].flag;

function render(given: GivenOptions): string {
  const rendered = renderConf({ gateway_id: 'gw-1', ...given }, templates, '0.1.0');
  if (!rendered.ok) throw new Error(rendered.error.map(({ message }) => message).join('\n'));
  return rendered.value;
}

function errorsOf(given: GivenOptions): string[] {
  const parsed = parseOptions({ gateway_id: 'gw-1', ...given });
  return parsed.ok ? [] : parsed.error.map(({ message }) => message);
}

/** Every directive that a value can reach is in it. */
const FULL: GivenOptions = {
  gateway_id: 'edge-1',
  zone: 'eu-1a',
  listen: ['0.0.0.0:8080', '[::]:8443,cert=/etc/ebbgate/tls.pem,key=/etc/ebbgate/tls.key,http2'],
  admin_listen: '127.0.0.1:8180',
  user: 'www-data',
  workers: 4,
  worker_shutdown_timeout: '10m',
  redis_host: 'redis.internal',
  redis_username: 'gateway',
  resolver: ['10.0.0.2', 'fd00::2'],
  trusted_proxies: ['10.0.0.0/8', '192.0.2.7'],
  client_max_body: '100m',
  log_fields: ['user_agent=http_user_agent'],
  upstream_tls: [
    'internal,server_name=orders.internal,ca=/etc/ebbgate/ca.pem,cert=/etc/ebbgate/gw.pem,key=/etc/ebbgate/gw.key',
  ],
};

describe('nginx.conf', () => {
  test.each([
    ['minimal', { gateway_id: 'edge-1' }],
    ['full', FULL],
  ])('equals the golden example %s (EBBGATE_GOLDEN=write renders it again)', (name, given) => {
    const file = join(root, 'nginx', 'golden', `${name}.conf`);
    const conf = render(given);
    if (process.env.EBBGATE_GOLDEN === 'write') writeFileSync(file, conf);
    expect(conf).toBe(readFileSync(file, 'utf8'));
  });

  // Debian's nginx makes the directories of all five at its start, below /var/lib/nginx unless configured otherwise, which a
  // user of its own or a read-only system does not allow.
  test.each(['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'])(
    'has the temporary files of %s below the run directory',
    (kind) => {
      expect(render({ run_dir: '/srv/gw' })).toContain(`${kind}_temp_path /srv/gw/${kind}_temp;`);
    },
  );

  test('a running request is never cut unless asked for', () => {
    expect(render({})).not.toContain('worker_shutdown_timeout');
    expect(render({ worker_shutdown_timeout: '30s' })).toContain('worker_shutdown_timeout 30s;');
  });

  test('OpenResty needs no modules', () => {
    const conf = render({ lua_module: 'builtin' });
    expect(conf).not.toContain('load_module');
    expect(conf).not.toContain('/usr/share/lua');
  });

  test("the gateway's image may say itself what its nginx loads", () => {
    const conf = render({ lua_module: 'image' });
    expect(conf).toContain('\ninclude /usr/share/ebbgate/lua_module.conf;\n');
    expect(conf).not.toContain('load_module');
    // Behind what the platform finds by itself, so that OpenResty keeps its own libraries.
    expect(conf).toMatch(/lua_package_path ".*;;\/usr\/share\/lua\/5\.1\/\?\.lua";/);
  });

  test('nobody is trusted by default', () => {
    expect(render({})).not.toContain('set_real_ip_from');
    expect(render({ trusted_proxies: ['10.1.2.3/8'] })).toContain('set_real_ip_from 10.0.0.0/8;');
  });
});

describe('what is refused', () => {
  test('a missing gateway id, with every other error beside it', () => {
    const parsed = parseOptions({ workers: '0', listen: ['127.0.0.1:99999'], redis_port: 'x' });
    expect(parsed.ok).toBe(false);
    const messages = parsed.ok ? [] : parsed.error.map(({ message }) => message);
    expect(messages).toHaveLength(4);
    expect(messages).toContain('--gateway-id must be given');
    for (const flag of ['--workers', '--listen', '--redis-port'])
      expect(messages.some((message) => message.startsWith(`${flag} `))).toBe(true);
  });

  test.each<[GivenOptions, RegExp]>([
    [{ listen: [] }, /^--listen needs 1 to/],
    [{ listen: ['127.0.0.1:8080,http2=on'] }, /^--listen http2 takes no value/],
    [{ admin_listen: '127.0.0.1:8080,http2' }, /^--admin-listen takes no TLS/],
    [{ upstream_tls: ['internal'] }, /^--upstream-tls needs server_name=/],
    [{ upstream_tls: ['internal,server_name=10.0.0.1'] }, /^--upstream-tls needs server_name=/],
    [{ upstream_tls: ['Internal,server_name=a.b'] }, /^--upstream-tls must be NAME/],
    [{ upstream_tls: ['a,server_name=a.b,verify=off'] }, /^--upstream-tls must be NAME/],
    [{ upstream_tls: ['a,server_name=a.b,cert=/x.pem'] }, /^--upstream-tls needs both/],
    [{ upstream_tls: ['a,server_name=a.b', 'a,server_name=c.d'] }, /^--upstream-tls a is there twice/],
    [{ listen: ['127.0.0.1:8080,cert=/a.pem'] }, /^--listen needs both/],
    [{ listen: ['127.0.0.1:8080,cert=/a;b.pem,key=/a.key'] }, /^--listen cert= and key= must be an abs/],
    [{ listen: ['localhost:8080'] }, /^--listen must be ADDRESS:PORT/],
    [{ listen: ['::1:8080'] }, /^--listen must be ADDRESS:PORT/],
    [{ listen: ['0177.0.0.1:8080'] }, /^--listen must be ADDRESS:PORT/],
    [{ listen: ['127.0.0.1:8180'] }, /^--listen 127.0.0.1:8180 is used twice/],
    [{ admin_listen: '127.0.0.1:1,cert=/a,key=/b' }, /^--admin-listen takes no TLS/],
    [{ admin_listen: 'nowhere' }, /^--admin-listen must be ADDRESS:PORT, IPv6 in brackets(?!.*TLS)/],
    [{ trusted_proxies: ['10.0.0.0/33'] }, /^--trusted-proxy must be a network/],
    [{ trusted_proxies: ['10.0.0.0/8', 'all'] }, /^--trusted-proxy must be a network/],
    [{ redis_host: 'redis' }, /^--redis-host is a name/],
    [{ redis: 'redis+cluster://10.0.0.1,redis' }, /^--redis has a name as a host/],
    [{ redis: 'redis://u:p@10.0.0.1' }, /no password/],
    [{ redis: "redis://u'@10.0.0.1" }, /percent-encoded/],
    [{ redis: 'foo' }, /^--redis must be empty, or a Redis URL/],
    [
      { redis_replica: 'redis+sentinel://10.0.0.1/m' },
      /^--redis-replica must be empty, or redis:.* one server/,
    ],
    [{ redis_replica: 'redis://u:p@10.0.0.1' }, /^--redis-replica must .*no password/],
    [{ redis_replica: 'redis://replica' }, /^--redis-replica has a name as a host/],
    [
      {
        redis: 'rediss://10.0.0.1?server_name=a&ca=/a.pem',
        redis_replica: 'rediss://10.0.0.2?server_name=a&ca=/b.pem',
      },
      /^--redis-replica must have the ca of --redis/,
    ],
    [{ redis_host: '1.2.3' }, /^--redis-host must be an IP address or a DNS name/],
    [{ run_dir: 'relative' }, /^--run-dir must be an absolute path/],
    [{ run_dir: '/a/../b' }, /^--run-dir must be an absolute path/],
    [{ client_body_timeout: '2d' }, /^--client-body-timeout must be a duration/],
    [{ sets_memory: '1k' }, /^--sets-memory must be a size .* from 64k/],
    [{ max_tries: 6 }, /^--max-tries must be a whole number from 1 to 5/],
    [{ worker_shutdown_timeout: 'never' }, /^--worker-shutdown-timeout must be off, or a duration/],
    [{ log_fields: ['status=http_x'] }, /^--log-field status is in the log already/],
    [{ log_fields: ['a=request_body'] }, /^--log-field must be NAME=VARIABLE/],
    [{ workers: 'many' }, /^--workers must be auto, or a whole number/],
    [{ nonsense: 1 } as GivenOptions, /^nonsense is not an option/],
  ])('%j', (given, message) => {
    expect(errorsOf(given)).toEqual([expect.stringMatching(message)]);
  });

  const HOSTILE = ['a;} evil {', '\n', "'", '"', '${', '\\', ']]', '{{gateway_id}}', ' ', '#', '$x', '\0'];
  const hostile = fc
    .tuple(fc.string({ maxLength: 12 }), fc.constantFrom(...HOSTILE), fc.string({ maxLength: 12 }))
    .map(([before, evil, after]) => before + evil + after);

  test('text that could leave its place, in every option, alone and behind a good value', () => {
    const good: Partial<Record<string, string>> = {
      gateway_id: 'gw',
      listen: '127.0.0.1:8080',
      run_dir: '/run/x',
      redis_host: '10.0.0.1',
      trusted_proxies: '10.0.0.0/8',
      log_fields: 'a=http_a',
      client_body_timeout: '30s',
    };
    const attempt = fc.tuple(fc.constantFrom(...NAMES), hostile, fc.boolean());
    fc.assert(
      fc.property(attempt, ([name, evil, prefixed]) => {
        const text = prefixed ? (good[name] ?? '') + evil : evil;
        const many = Array.isArray((GATEWAY_OPTIONS[name] as GatewayOption).default);
        const errors = errorsOf({ [name]: many ? [text] : text });
        expect(errors.length).toBeGreaterThan(0);
        expect(errors.every((message) => message.startsWith(flagOf(name)))).toBe(true);
      }),
      { numRuns: draws(3_000) },
    );
  });

  test('whatever does pass adds no directive, no block and no line', () => {
    const shape = (conf: string): string => conf.replace(/[^{};\n"']/g, '');
    const plain = { gateway_id: 'gw-1', run_dir: '/r', redis_username: 'u', user: 'u', lua_dir: '/l' };
    const expected = shape(render(plain));
    const field = fc.constantFrom('gateway_id', 'run_dir', 'redis_username', 'user', 'lua_dir');
    fc.assert(
      fc.property(field, fc.string({ unit: 'binary-ascii', minLength: 1 }), (name, value) => {
        const given = { ...plain, [name]: name.endsWith('_dir') ? `/${value}` : value };
        if (parseOptions(given).ok) expect(shape(render(given))).toBe(expected);
      }),
      { numRuns: draws(2_000) },
    );
  }, 60_000);
});
