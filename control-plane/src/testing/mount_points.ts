import { spawnSync } from 'node:child_process';

/** Owner of a directory: `user:group`, as the image says it. */
export type Owners = ReadonlyMap<string, string>;

/**
 * Who owns the directories that a Dockerfile makes in its last stage. Its own shell lines are run, with every command that
 * would change something replaced by one that says so: loops, lists and the order count as they do in an image.
 */
export function mountPoints(dockerfile: string): Owners {
  const owners = new Map<string, string>();
  for (const [verb, ...words] of said(dockerfile)) {
    const paths = words.filter((word) => word.startsWith('/'));
    if (verb === 'mkdir') for (const path of paths) owners.set(path, owners.get(path) ?? 'root:root');
    if (verb !== 'chown') continue;
    const owner = words.find((word) => !word.startsWith('-') && !word.startsWith('/'))!;
    const below = (path: string): boolean =>
      words.includes('-R') && paths.some((one) => path.startsWith(`${one}/`));
    for (const path of [...owners.keys(), ...paths])
      if (paths.includes(path) || below(path)) owners.set(path, owner);
  }
  return owners;
}

const SAID = ['mkdir', 'chown'];
const SILENT = ['chmod', 'groupadd', 'useradd', 'ln'];

function said(dockerfile: string): readonly string[][] {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  const runs = [...stage.matchAll(/^RUN ((?:.*\\\n)*.*)$/gm)].map((match) =>
    match[1]!.replaceAll('\\\n', ' '),
  );
  const script = [
    ...SAID.map((name) => `${name}() { echo ${name} "$@"; }`),
    ...SILENT.map((name) => `${name}() { :; }`),
    ...runs.filter((run) => run.includes('chown')),
  ].join('\n');
  const ran = spawnSync('/bin/sh', ['-euc', script], { encoding: 'utf8', env: { PATH: '/nonexistent' } });
  if (ran.status !== 0) throw new Error(`the image's lines cannot be run: ${ran.stderr}`);
  return ran.stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
}
