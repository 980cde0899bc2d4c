import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { productRoot } from '../cli/product.js';

/*
 * roll.sh: in which order it does what, and that it touches nobody else once something is wrong. There is no Docker engine
 * in the tests: the `docker` here writes down its arguments and answers from a table. With an engine it is tried by hand.
 */

let dir: string;

/** `docker`: every call is a line of `said`; `answers` is shell that looks at "$*". */
function docker(answers = ''): void {
  writeFileSync(
    join(dir, 'docker'),
    `#!/bin/sh
echo "$*" >> ${dir}/said
${answers}
case "$*" in
  'compose version --short') echo "$VERSION" ;;
  'compose config --services') printf '%s\\n' controller-1 gateway-2 gateway-10 gateway-1 gateway-1-conf gateway-2-conf shop-1 ;;
  *'get gateways'*) printf '{\\n  "items": [\\n    {\\n      "id": "x",\\n      "boot": "b1",\\n      "workers": 2\\n    }\\n  ]\\n}\\n' ;;
  'compose ps -q '*) echo id-of-$4 ;;
  inspect*) echo healthy ;;
esac
`,
  );
  chmodSync(join(dir, 'docker'), 0o755);
}

let version = '2.26.1';
function roll(...words: readonly string[]) {
  const ran = spawnSync('/bin/sh', [join(productRoot(), 'nginx/container/roll.sh'), ...words], {
    encoding: 'utf8',
    env: {
      PATH: `${dir}:${process.env.PATH!}`,
      EBBGATE_ROLL_PAUSE: '0',
      EBBGATE_ROLL_TIMEOUT: '1',
      VERSION: version,
    },
  });
  const calls = readFileSync(join(dir, 'said'), 'utf8').trim().split('\n');
  return { status: ran.status, said: ran.stderr, calls };
}
const changes = (calls: readonly string[]): readonly string[] =>
  calls.filter((call) => /^compose (run|up)/.test(call)).map((call) => call.split(' ').at(-1)!);

beforeEach(() => {
  version = '2.26.1';
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-roll-'));
  writeFileSync(join(dir, 'said'), '');
  docker();
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

it('renews one gateway after the other, each until it is heard again and healthy', () => {
  const { status, calls } = roll();
  expect(status).toBe(0);
  expect(calls).toEqual([
    'compose version --short',
    'compose config --services',
    ...['gateway-1', 'gateway-2', 'gateway-10'].map(
      (name) => `compose exec -T controller-1 ebbgate wait gateway ${name} --timeout 30s`,
    ),
    ...['gateway-1', 'gateway-2', 'gateway-10'].flatMap((name) => [
      `compose exec -T controller-1 ebbgate get gateways ${name} -o json`,
      ...(name === 'gateway-10' ? [] : [`compose run --rm --no-deps -T ${name}-conf`]),
      `compose up -d --force-recreate ${name}`,
      `compose exec -T controller-1 ebbgate wait gateway ${name} --not-boot b1 --timeout 1s`,
      `compose ps -q ${name}`,
      `inspect -f {{.State.Health.Status}} id-of-${name}`,
    ]),
  ]);
});

it('renews the one that is named, and looks at all before', () => {
  const { status, calls } = roll('gateway-2');
  expect(status).toBe(0);
  expect(changes(calls)).toEqual(['gateway-2-conf', 'gateway-2']);
  expect(calls).toContain('compose exec -T controller-1 ebbgate wait gateway gateway-10 --timeout 30s');
});

it('leaves the others alone under Compose 1, which would recreate them too', () => {
  version = '1.29.2';
  const { status, calls } = roll('gateway-1');
  expect(status).toBe(0);
  expect(calls).toContain('compose up -d --no-deps --force-recreate gateway-1');
});

describe('stops', () => {
  it.each([
    ['before anything when one is not heard', '*"wait gateway gateway-2 --timeout"*) exit 4 ;;', []],
    [
      'when a conf does not pass, and leaves its gateway',
      '*"-T gateway-1-conf"*) exit 2 ;;',
      ['gateway-1-conf'],
    ],
    ['when one cannot be recreated', '*"recreate gateway-1"*) exit 1 ;;', ['gateway-1-conf', 'gateway-1']],
    ['when one does not come back', '*"gateway-1 --not-boot"*) exit 4 ;;', ['gateway-1-conf', 'gateway-1']],
    [
      'when one is heard and not healthy',
      'inspect*) echo starting; exit 0 ;;',
      ['gateway-1-conf', 'gateway-1'],
    ],
    ['when one is gone meanwhile', '*"get gateways"*) echo "{}"; exit 0 ;;', []],
  ])('%s', (_, answer, changed) => {
    docker(`case "$*" in ${answer} esac`);
    const { status, said, calls } = roll();
    expect(status).toBe(1);
    expect(said).toMatch(/roll: .*gateway-[12]/);
    expect(changes(calls)).toEqual(changed);
  });

  it.each([
    ['a name that is no gateway', ['shop-1'], ''],
    ['a directory without a compose file', [], 'exit 14'],
    ['a project without gateways', [], 'case "$*" in *--services) echo controller; exit 0 ;; esac'],
  ])('with exit 2 for %s', (_, words, answers) => {
    docker(answers);
    const { status, calls } = roll(...words);
    expect(status).toBe(2);
    expect(changes(calls)).toEqual([]);
  });
});
