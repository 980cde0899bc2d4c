import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../clock.js';
import type { Hooks } from '../model/hooks.js';
import { hooksContract } from '../testing/hooks.contract.js';
import type { OutsideAnswer } from '../testing/memory/hooks.js';
import { forbids, parsePrefix } from './allowed.js';
import { createHooks } from './hooks.js';

let handle: (request: IncomingMessage, body: string, response: ServerResponse) => void;
let server: Server;
let base: string;
let directory: string;
let hooks: Hooks;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => handle(request, body, response));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  directory = mkdtempSync(join(tmpdir(), 'ebbgate-hooks-'));
  hooks = open();
});
afterEach(() => server.closeAllConnections());
afterAll(async () => {
  await hooks.close();
  server.close();
  rmSync(directory, { recursive: true });
});

function open(commands = directory): Hooks {
  return createHooks({
    prefixes: [`${base}/hooks`],
    commands,
    path: process.env['PATH'] ?? '',
    clock: systemClock,
  });
}

function command(name: string, script: string, folder = directory): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

const call = (more: object = {}) => ({
  url: `${base}/hooks/up`,
  key: 'k/1',
  body: { a: 1 },
  timeout_ms: 5_000,
  ...more,
});
const failed = (kind: string, reason: RegExp) => ({
  ok: false,
  error: { kind, reason: expect.stringMatching(reason) as string },
});

hooksContract('this process', () => {
  const [url, own] = [`${base}/hooks/up`, mkdtempSync(join(directory, 'contract-'))];
  const posted: { readonly key: string | null; readonly input: unknown }[] = [];
  const answer = (how: OutsideAnswer): void => {
    handle = ({ headers }, body, response) => {
      const input = body === '' ? null : (JSON.parse(body) as unknown);
      posted.push({ key: (headers['idempotency-key'] as string | undefined) ?? null, input });
      if (how === 'hang_up') response.destroy();
      else if (how !== 'silence') response.writeHead(how.status).end(how.text);
    };
  };
  return Promise.resolve({
    hooks: () => open(own),
    ...{ url, forbidden: `${base}/other`, answer },
    offer: (name, how) => {
      const end =
        typeof how === 'string' ? 'exec sleep 60' : `echo '${how.text}'; exit ${String(how.status)}`;
      command(name, `cat > input-$$; printf %s "$EBBGATE_KEY" > key-$$; ${end}`, own);
    },
    heard: () => [
      ...posted,
      ...readdirSync(own)
        .filter((file) => file.startsWith('key-'))
        .map((file) => ({
          key: readFileSync(join(own, file), 'utf8'),
          input: readFileSync(join(own, file.replace('key-', 'input-')), 'utf8'),
        })),
    ],
    close: () => Promise.resolve(),
  });
});

describe('what may be called', () => {
  const prefixes = ['https://ci.example/hooks', 'http://10.0.0.1:8080'].map((text) => new URL(text));
  test.each([
    ['https://ci.example/hooks', null],
    ['https://ci.example/hooks/a?b=c', null],
    ['http://10.0.0.1:8080/any', null],
    ['https://ci.example/hooksome', /EBBGATE_HOOKS/],
    ['https://ci.example/hooks/../admin', /EBBGATE_HOOKS/],
    ['https://ci.example/hooks/%2e%2e/admin', /EBBGATE_HOOKS/],
    ['https://ci.example.evil/hooks', /EBBGATE_HOOKS/],
    ['http://ci.example/hooks', /EBBGATE_HOOKS/],
    ['https://user:word@ci.example/hooks', /user/],
    ['file:///etc/passwd', /http/],
    ['nonsense', /http/],
  ])('%s', (url, reason) => {
    const answer = forbids(url, prefixes);
    if (reason === null) expect(answer).toBeNull();
    else expect(answer).toMatch(reason);
  });

  test.each(['ftp://a', 'https://user@a/', 'https://a/?q', 'a'])('%s is no prefix', (text) => {
    expect(parsePrefix(text).ok).toBe(false);
  });
});

describe('over HTTP', () => {
  test('posts JSON with its key, and reads the answer', async () => {
    let seen: unknown;
    handle = ({ method, headers }, body, response) => {
      seen = { method, key: headers['idempotency-key'], type: headers['content-type'], body };
      response.end('{"verdict":"continue"}');
    };
    expect(await hooks.post(call())).toEqual({ ok: true, value: { verdict: 'continue' } });
    expect(seen).toEqual({ method: 'POST', key: 'k/1', type: 'application/json', body: '{"a":1}' });
  });

  test.each([
    [500, 'unanswered', /answered 500/],
    [404, 'refused', /answered 404: no such host/],
    [302, 'refused', /redirects are not followed/],
  ])('%d is %s', async (status, kind, reason) => {
    handle = (_request, _body, response) =>
      response.writeHead(status, { location: `${base}/hooks` }).end('no such\nhost');
    expect(await hooks.post(call())).toEqual(failed(kind, reason));
  });

  test('what never ends, and what is silent are no answers', async () => {
    handle = (_request, _body, response) => {
      const more = (): void => {
        if (response.write('x'.repeat(65_536))) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    };
    expect(await hooks.post(call())).toEqual(failed('unanswered', /more than 1048576 bytes/));
    handle = () => undefined;
    expect(await hooks.post(call({ timeout_ms: 50 }))).toEqual(failed('unanswered', /timed out/));
  });

  test('outside of the prefixes nothing is asked', async () => {
    handle = () => expect.unreachable();
    expect(await hooks.post(call({ url: `${base}/other` }))).toEqual(failed('refused', /EBBGATE_HOOKS/));
  });
});

describe('as a command', () => {
  const run = (name: string, more: object = {}) =>
    hooks.run({
      ...{ command: name, key: 'k/1', env: { EBBGATE_SERVICE: 'shop' }, input: '', timeout_ms: 10_000 },
      ...more,
    });

  test('gets its key and what it is shown, and nothing else', async () => {
    command(
      'show',
      `env | cut -d= -f1 | sort | tr '\\n' ' ' > shown; echo "$EBBGATE_KEY $EBBGATE_SERVICE" >> shown`,
    );
    expect(await run('show')).toEqual({ ok: true, value: null });
    const shown = readFileSync(join(directory, 'shown'), 'utf8').split(/\s+/);
    expect(shown.filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD', ''].includes(name))).toEqual([
      'EBBGATE_KEY',
      'EBBGATE_SERVICE',
      'PATH',
      'k/1',
      'shop',
    ]);
  });

  test('it gets its input, however long, and need not read it', async () => {
    const input = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => `instance-${String(index)}`));
    command('count', 'wc -c > counted');
    expect(await run('count', { input })).toEqual({ ok: true, value: null });
    expect(Number(readFileSync(join(directory, 'counted'), 'utf8'))).toBe(input.length);
    command('deaf', 'exec <&-; sleep 0.2');
    expect(await run('deaf', { input })).toEqual({ ok: true, value: null });
  });

  test('an environment that the system does not take is a refusal', async () => {
    command('any', 'exit 0');
    const env = { EBBGATE_INSTANCES: 'x'.repeat(3_000_000) };
    expect(await run('any', { env })).toEqual(failed('refused', /could not be run/));
  });

  test('with its time over, its children end with it', async () => {
    command('hang', 'sleep 60 & echo $! > child; wait');
    expect(await run('hang', { timeout_ms: 300 })).toEqual(failed('unanswered', /longer than 300 ms/));
    const child = Number(readFileSync(join(directory, 'child'), 'utf8'));
    await vi.waitFor(() => expect(isAlive(child)).toBe(false), { timeout: 5_000 });
  });

  test.each(['../show', '', 'none', 'folder', 'a b'])('"%s" is not run', async (name) => {
    if (!existsSync(join(directory, 'folder'))) mkdirSync(join(directory, 'folder'));
    expect(await run(name)).toMatchObject({ ok: false, error: { kind: 'refused' } });
  });

  test('without a directory there are none', () => {
    const none = createHooks({ prefixes: [], commands: '', path: '', clock: systemClock });
    expect(none.forbidsCommand('show')).toMatch(/EBBGATE_HOOK_COMMANDS/);
    expect(none.forbids(`${base}/hooks`)).toMatch(/EBBGATE_HOOKS/);
  });
});

/** A process that has ended and was not waited for yet counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
