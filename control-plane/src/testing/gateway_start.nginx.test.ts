import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { productRoot, productVersion, readTemplates } from '../cli/product.js';
import type { GivenOptions } from '../render/options.js';
import { renderConf } from '../render/render.js';

/*
 * What the gateway's container refuses to start with: a conf for an nginx of another platform, directories of another
 * user. And what its image says of itself, read by a real nginx. Run as somebody who is not root, as in a container.
 */

const root = productRoot();
const STRANGER = 65_534;
const isRoot = process.getuid?.() === 0;
const uid = isRoot ? STRANGER : process.getuid!();
const nginx =
  process.env.EBBGATE_NGINX ||
  spawnSync('/bin/sh', ['-c', 'command -v nginx'], { encoding: 'utf8' }).stdout.trim();
const isOpenResty = nginx.includes('openresty');
const INCLUDE = '/usr/share/ebbgate/lua_module.conf';
const isImage = existsSync(INCLUDE); // these tests run in the image itself

let dir: string;
let run: string;
let conf: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-start-'));
  chmodSync(dir, 0o755);
  run = join(dir, 'run');
  conf = join(dir, 'nginx.conf');
  mkdirSync(run);
  chmodSync(run, 0o777);
  // A checkout may lie where a stranger cannot look.
  copyFileSync(join(root, 'nginx/container/gateway.sh'), join(dir, 'gateway.sh'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function write(given: GivenOptions): string {
  const rendered = renderConf(
    {
      ...{ gateway_id: 'gateway-1', run_dir: run, lua_dir: join(root, 'lua'), listen: ['127.0.0.1:1080'] },
      ...given,
    },
    readTemplates(root),
    productVersion(root),
  );
  if (!rendered.ok) throw new Error(rendered.error.map(({ message }) => message).join('\n'));
  writeFileSync(conf, rendered.value);
  return rendered.value;
}

function start() {
  mkdirSync(join(dir, 'bin'), { recursive: true });
  // The one that the tests run on, under the name the image has it.
  writeFileSync(join(dir, 'bin/nginx'), `#!/bin/sh\nexec ${nginx} "$@"\n`);
  chmodSync(join(dir, 'bin/nginx'), 0o755);
  const { status, stderr } = spawnSync('/bin/sh', [join(dir, 'gateway.sh')], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: `${join(dir, 'bin')}:${process.env.PATH!}`, EBBGATE_CONF: conf },
    ...(isRoot ? { uid: STRANGER, gid: STRANGER } : {}),
  });
  return { status, said: stderr };
}

describe('a conf of another platform', () => {
  it.each<[string, GivenOptions]>([
    ['modules that are not there', { lua_module: 'debian', module_dir: '/nonexistent' }],
    ...(isImage ? [] : [['an image that this is not', { lua_module: 'image' }] as [string, GivenOptions]]),
    ...(isOpenResty ? [] : [['Lua that is built in', { lua_module: 'builtin' }] as [string, GivenOptions]]),
  ])('is refused, with the way out: %s', (_, given) => {
    write(given);
    expect(start()).toEqual({
      status: 2,
      said: `ebbgate-gateway: ${conf} is for an nginx of another platform; render it again with --lua-module image\n`,
    });
  });
});

describe('directories of another user', () => {
  it.each([
    ['the run directory', '.'],
    ['the sets of the last run', 'state'],
    ['where nginx puts bodies', 'client_body_temp'],
  ])('are named before anything starts: %s', (_, name) => {
    write({ lua_module: isOpenResty ? 'builtin' : 'debian' });
    for (const made of ['state', 'client_body_temp']) {
      mkdirSync(join(run, made));
      chmodSync(join(run, made), 0o777);
    }
    chmodSync(join(run, name), 0o555);
    const place = name === '.' ? run : join(run, name);
    expect(start()).toEqual({
      status: 2,
      said:
        `ebbgate-gateway: uid ${String(uid)} cannot write ${place}; with Compose: docker compose run --rm give-volumes, ` +
        `else as root: chown -R ${String(uid)} ${run}\n`,
    });
  });
});

/** The lines that the image is built with, run with another place for the file. */
function imageSays(withOpenResty: boolean): string {
  const dockerfile = readFileSync(join(root, 'nginx/Dockerfile'), 'utf8');
  const lines = [...dockerfile.matchAll(/^RUN ((?:.*\\\n)*.*)$/gm)].map((match) => match[1]!);
  const file = join(dir, 'lua_module.conf');
  const script = lines
    .find((one) => one.includes(INCLUDE))!
    .replaceAll('\\\n', ' ')
    .replaceAll('/usr/share/ebbgate', dir);
  const bin = join(dir, withOpenResty ? 'with' : 'without');
  mkdirSync(bin);
  if (withOpenResty) writeFileSync(join(bin, 'openresty'), '#!/bin/sh\n', { mode: 0o755 });
  const made = spawnSync('/bin/sh', ['-c', `mkdir() { :; }\n${script}`], {
    encoding: 'utf8',
    env: { PATH: bin },
  });
  expect(made).toMatchObject({ status: 0, stderr: '' });
  return file;
}

describe('the image', () => {
  it('says what its nginx loads: two modules on Debian, none on OpenResty', () => {
    expect(readFileSync(imageSays(false), 'utf8')).toBe(
      'load_module /usr/lib/nginx/modules/ndk_http_module.so;\nload_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n',
    );
    expect(readFileSync(imageSays(true), 'utf8')).toBe('# Lua is built in.\n');
  });

  it('takes one conf, whatever it is made of', () => {
    const text = write({ lua_module: 'image', user: isRoot ? 'root' : '' });
    mkdirSync(join(run, 'state'));
    writeFileSync(conf, text.replace(INCLUDE, imageSays(isOpenResty)));
    const tested = spawnSync(nginx, ['-t', '-p', run, '-e', 'stderr', '-c', conf], { encoding: 'utf8' });
    expect(tested.stderr).toContain('test is successful');
  });
});
