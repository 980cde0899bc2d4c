// Writes docs/benchmarks.md from what the benchmarks found.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

/**
 * The page's text. `found` is a list of findings (bench/harness/results.ts), `busyBefore` the load of the machine before.
 * @returns {string}
 */
export function benchPage(found, { busyBefore }) {
  return [
    '# Benchmarks',
    '',
    'Written by `npm run bench`, which measures all of this again; do not edit it by hand. Its sources are in `bench/`.',
    '',
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    `- Machine: ${machine()}, load ${busyBefore.toFixed(1)} before the run`,
    `- Software: ${software().join(', ')}`,
    '',
    '## In short',
    '',
    table(
      ['number', 'measured', 'at most', ''],
      found.flatMap(({ title, verdicts }) => verdicts.map(verdict(title))),
    ),
    '',
    ...reasons(found),
    ...found.flatMap(({ title, how, columns, rows }) => [
      `## ${title}`,
      '',
      how,
      '',
      table(columns, rows),
      '',
    ]),
  ].join('\n');
}

/** Why what was missed was missed, as far as it is known. */
function reasons(found) {
  const missed = found
    .flatMap(({ verdicts }) => verdicts)
    .filter(({ measured, limit, reason }) => !(measured <= limit) && reason);
  return missed.flatMap(({ what, reason }) => [`Missed, ${what}: ${reason}`, '']);
}

function verdict(title) {
  return ({ what, measured, limit, unit }) => [
    `${title}: ${what}`,
    `${measured} ${unit}`,
    `${limit} ${unit}`,
    measured <= limit ? 'met' : '**missed**',
  ];
}

function table(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

function machine() {
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores of ${cpus()[0]?.model ?? 'an unknown kind'}, ${gib} GiB, Linux ${release()}`;
}

function software() {
  const first = (command, args) => {
    const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    return `${stdout ?? ''}${stderr ?? ''}`.split('\n')[0] ?? '';
  };
  const system = existsSync('/etc/os-release')
    ? (/^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '')
    : '';
  return [
    system,
    first(process.env.EBBGATE_NGINX ?? 'nginx', ['-v']).replace(/^.*version: /, ''),
    first('/usr/sbin/haproxy', ['-v'])
      .replace(/ .*version /, ' ')
      .replace(/ -? ?https.*$| \d{4}\/.*$/, ''),
    first('luajit', ['-v']).replace(/ -- .*$/, ''),
    first('redis-server', ['--version']).replace(/^.* v=(\S+).*$/, 'Redis $1'),
    `Node ${process.version}`,
  ].filter(Boolean);
}
