// Writes the dated pages of docs/results from what long runs found.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './deps.mjs';

export const whole = (number) => Math.round(number).toLocaleString('en');

/** Writes docs/results/`name`.md: a title, what was done, and one table of `rows` after date and machine. */
export function writeResults(name, { title, intro, rows, after = [] }) {
  const lines = [
    `# ${title}`,
    '',
    ...intro,
    '',
    '| what | count |',
    '| --- | --- |',
    `| date | ${new Date().toISOString().slice(0, 10)} |`,
    `| machine | ${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node} |`,
    ...rows.map(([what, count]) => `| ${what} | ${count} |`),
    '',
    ...after,
  ];
  const dir = join(ROOT, 'docs/results');
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${name}.md`);
  writeFileSync(file, lines.join('\n'));
  spawnSync(join(ROOT, 'node_modules/.bin/oxfmt'), [file], { cwd: ROOT });
}
