import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** A service of docker-compose.yml, as far as tests look at it. */
export interface Service {
  readonly image: string;
  readonly build?: { readonly dockerfile: string };
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
  readonly networks?: readonly string[] | Readonly<Record<string, { readonly ipv4_address?: string }>>;
  readonly profiles?: readonly string[];
  readonly stop_grace_period?: string;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<
    Record<string, { readonly internal?: boolean; readonly ipam?: { config: { subnet: string }[] } }>
  >;
  readonly volumes: Readonly<Record<string, object>>;
}

/** docker-compose.yml as compose reads it with an empty environment: `${NAME:-default}` is the default, `$$` a dollar. */
export function readCompose(root: string): Compose {
  const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
    .replaceAll(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, '$1')
    .replaceAll('$$', '$');
  return parse(text, { merge: true }) as Compose;
}
