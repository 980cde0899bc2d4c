import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'vitest';
import { compareCpu, ROUNDS } from './harness/compare.js';
import { Lab } from './harness/lab.js';
import { median, ratios } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..');
const KEYS = 100_000;

test('100,000 API keys in a worker', async () => {
  const { stdout } = await run('luajit', ['bench/api_keys.lua', String(KEYS)], {
    cwd: ROOT,
    env: { ...process.env, LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' },
  });
  const found = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([name = '', number]) => [name, Number(number)]),
  );
  const of = (name: string): number => found.get(name) ?? NaN;
  const known = 'a key that is there';
  const guesses = ['a key that is not', 'a key of which the last character is wrong'];
  report('api_keys', {
    title: '100,000 API keys in a worker',
    how:
      'A look-up alone, under the same LuaJIT (`bench/api_keys.lua`), its SHA-256 included; best of five runs of a million, each of another key than the one before. ' +
      'One key for each of 100,000 consumers.',
    columns: ['what', 'measured'],
    rows: [
      ...[known, ...guesses, 'SHA-256 alone'].map((name) => [name, `${String(of(name))} ns`] as const),
      ['a document that changed, read and made ready', `${String(of('build'))} ms`],
      [
        'memory of a worker',
        `${String(of('heap'))} MiB, ${String(of('native'))} of it outside of what is collected`,
      ],
      ['all documents, and the longest', `${String(of('documents'))} MiB, ${String(of('longest'))} KiB`],
    ],
    verdicts: [
      { what: known, measured: of(known), limit: 1_000, unit: 'ns' },
      { what: 'memory of a worker', measured: of('heap'), limit: 32, unit: 'MiB' },
      { what: 'the longest document', measured: of('longest'), limit: 1_024, unit: 'KiB' },
    ],
  });
});

test('CPU time of API keys', async () => {
  await using lab = await Lab.open([`X-API-Key: ${keyOf(1)}`]);
  const auth = { type: 'api_key' } as const;
  const subjects = [
    await lab.staticNginx('static nginx'),
    await lab.ebbgateWith('nobody is asked', {}),
    await lab.ebbgateWith('one key', { auth }, {}, documents(1)),
    await lab.ebbgateWith('100,000 keys', { auth }, {}, documents(KEYS)),
  ];
  const costs = await compareCpu(subjects, lab.head);
  const of = (name: string): readonly number[] => costs.get(name) ?? [];
  const beyond = (name: string): number => {
    const [own, without] = [name, 'nobody is asked'].map((one) => ratios(of(one), of('static nginx')));
    return rounded(median(own!.map((ratio, round) => (ratio - without![round]!) * 100)), 1);
  };
  report('api_keys_cpu', {
    title: 'CPU time of API keys',
    how: `As above, with the access log; every request has the same key in a header, to all of them. ${String(ROUNDS)} rounds, everybody in turn.`,
    columns: ['', 'µs per request, median', '× static nginx'],
    rows: subjects.map(({ name }) => [
      name,
      rounded(median(of(name))),
      rounded(median(ratios(of(name), of('static nginx'))), 3),
    ]),
    verdicts: [['one key', 15] as const, ['100,000 keys', 30] as const].map(([name, limit]) => ({
      what: `${name}, beyond nobody being asked, of static nginx, median of ${String(ROUNDS)} rounds`,
      measured: beyond(name),
      limit,
      unit: '%',
    })),
  });
});

function keyOf(n: number): string {
  return `ebk_${String(n * 7_919).padStart(43, '0')}`;
}

/** The documents of so many consumers, a key each. */
function documents(count: number): ReadonlyMap<string, string> {
  const made = new Map<string, { consumers: object[]; keys: object[] }>();
  for (let n = 1; n <= count; n += 1) {
    const hash = createHash('sha256').update(keyOf(n)).digest('hex');
    const name = `@keys:${hash.slice(0, 2)}`;
    const { consumers, keys } = made.get(name) ?? { consumers: [], keys: [] };
    made.set(name, { consumers, keys });
    keys.push({ hash, id: n.toString(16).padStart(12, '0'), consumer: consumers.length });
    consumers.push({ name: `consumer-${String(n)}` });
  }
  return new Map([...made].map(([name, those]) => [name, JSON.stringify({ v: 1, service: name, ...those })]));
}
