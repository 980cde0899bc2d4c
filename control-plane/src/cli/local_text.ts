import { resolve } from 'node:path';
import { DEFAULT_API } from '../model/api_addresses.js';
import type { Endpoints } from '../local/state.js';
import { DEMO_SERVICE } from '../local/demo_names.js';

/** Where `up`, `status` and `down` look unless `--dir` says otherwise. */
export const DEFAULT_DIR = '.ebbgate';

/** The command as it must be typed for this directory: `ebbgate down`, with `--dir` unless it is the default one. */
export function commandFor(verb: 'up' | 'down' | 'status', dir: string): string {
  const words = dir === resolve(DEFAULT_DIR) ? [] : ['--dir', /^[\w./@+-]+$/.test(dir) ? dir : `'${dir}'`];
  return ['npx ebbgate', verb, ...words].join(' ');
}

/** Where things answer, one line each. */
export function describeEndpoints(endpoints: Endpoints): readonly string[] {
  const row = (what: string, where: string): string => `  ${what.padEnd(14)} ${where}`;
  return [
    '',
    row('Gateways', endpoints.gateways.join('  ')),
    row('their admin', endpoints.gateway_admin.join('  ')),
    row('Control APIs', endpoints.apis.join('  ')),
    row('ZooKeeper', endpoints.zookeeper),
    row('Redis', endpoints.redis),
    ...(endpoints.instances.length > 0
      ? [row('Instances', endpoints.instances.map(({ id, version }) => `${id} (${version})`).join('  '))]
      : []),
  ];
}

/** The three commands to try next, to be typed in the repository's root, and how to stop. */
export function nextCommands(endpoints: Endpoints, dir: string): readonly string[] {
  const api = endpoints.api === DEFAULT_API ? '' : ` --api ${endpoints.api}`;
  const first = endpoints.instances[0];
  const commands =
    first === undefined
      ? [
          `npx ebbgate register --zookeeper ${endpoints.zookeeper}${api} --service ${DEMO_SERVICE} --host 127.0.0.1 --port 9000 --version v1 -- COMMAND`,
          `npx ebbgate route ${DEMO_SERVICE} --path /${api}`,
          `npx ebbgate get services${api}`,
        ]
      : [
          `curl ${endpoints.gateways[0] ?? ''}/`,
          `npx ebbgate get instances -s ${DEMO_SERVICE}${api}`,
          `npx ebbgate drain -s ${DEMO_SERVICE} ${first.id} --wait${api}`,
        ];
  return ['', 'Try next:', ...commands.map((line) => `  ${line}`), '', `State and logs: ${dir}`];
}
