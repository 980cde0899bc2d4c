import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** A service of a compose file, as far as tests look at it. */
export interface Service {
  readonly image: string;
  readonly build?: { readonly dockerfile: string };
  readonly pull_policy?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly user?: string;
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly network_mode?: string;
  readonly security_opt?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly networks?: readonly string[] | Readonly<Record<string, { readonly ipv4_address?: string }>>;
  readonly profiles?: readonly string[];
  readonly stop_grace_period?: string;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<
    Record<
      string,
      { readonly internal?: boolean; readonly ipam?: { config: { subnet: string; ip_range?: string }[] } }
    >
  >;
  readonly volumes: Readonly<Record<string, object>>;
}

/** The Dockerfile of each image that is built here, by the image's name; one service builds it for all that use it. */
export function dockerfiles(services: Compose['services']): ReadonlyMap<string, string> {
  return new Map(
    Object.values(services).flatMap(({ image, build }): [string, string][] =>
      build === undefined ? [] : [[image, build.dockerfile]],
    ),
  );
}

/** The file that makes no single process matter, over docker-compose.yml. */
export const HIGH_AVAILABILITY = 'docs/how-to/compose/high-availability.yml';

/** A compose file as compose reads it with an empty environment: `${NAME:-default}` is the default, `$$` a dollar. */
export function readComposeFile(root: string, file: string): Compose {
  const text = readFileSync(join(root, file), 'utf8')
    .replaceAll(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, '$1')
    .replaceAll('$$', '$');
  return parse(text, { merge: true, maxAliasCount: -1 }) as Compose;
}

/** docker-compose.yml with what lies over it, as compose merges files that are named by -f. */
export function readCompose(root: string, ...over: readonly string[]): Compose {
  return ['docker-compose.yml', ...over]
    .map((file) => readComposeFile(root, file))
    .reduce((below, above) => merged(below, above, []) as Compose);
}

/** These are replaced; of all other lists the entries of both files count. */
const REPLACED = ['command', 'entrypoint', 'test'];
type Tree = Readonly<Record<string, unknown>>;

function merged(below: unknown, above: unknown, path: readonly string[]): unknown {
  const name = path.at(-1) ?? '';
  if (Array.isArray(below) && Array.isArray(above)) {
    if (REPLACED.includes(name)) return above;
    // Two mounts at one place are the one of the upper file.
    const targetOf = (entry: unknown): unknown =>
      name === 'volumes' && typeof entry === 'string' ? entry.split(':')[1] : entry;
    const targets = new Set(above.map(targetOf));
    return [
      ...(below as unknown[]).filter((entry) => !targets.has(targetOf(entry))),
      ...(above as unknown[]),
    ];
  }
  const [lower, upper] = [treeOf(below), treeOf(above)];
  if (lower === null || upper === null) return above;
  const names = [...new Set([...Object.keys(lower), ...Object.keys(upper)])];
  const members = names.map((key) => {
    if (!Object.hasOwn(upper, key)) return [key, lower[key]];
    return [key, Object.hasOwn(lower, key) ? merged(lower[key], upper[key], [...path, key]) : upper[key]];
  });
  return Object.fromEntries(members) as unknown;
}

/** A mapping; of a list of names that a mapping has to be merged with, each with nothing said of it. */
function treeOf(value: unknown): Tree | null {
  if (Array.isArray(value)) return Object.fromEntries(value.map((name: string) => [name, {}])) as Tree;
  return typeof value === 'object' && value !== null ? (value as Tree) : null;
}
