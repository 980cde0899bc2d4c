import { join } from 'node:path';
import {
  reservePort,
  type GivenOptions,
  launchGateway,
  type LocalGateway,
  productRoot,
  productVersion,
  readTemplates,
  renderConf,
} from '../../control-plane/src/testkit.js';

/** Where a gateway lives, so that it can be started there again. */
export interface GatewayPlace {
  readonly id: string;
  readonly dir: string;
  readonly port: number;
  readonly adminPort: number;
  readonly redisPort: number;
}

export async function gatewayPlace(id: string, dir: string, redisPort: number): Promise<GatewayPlace> {
  return { id, dir: join(dir, id), port: await reservePort(), adminPort: await reservePort(), redisPort };
}

/** The product's conf for that place; `more` replaces options. EBBGATE_NGINX chooses the binary. */
export function gatewayConf(place: GatewayPlace, more: GivenOptions = {}): string {
  const root = productRoot();
  const options: GivenOptions = {
    gateway_id: place.id,
    listen: [`127.0.0.1:${place.port}`],
    admin_listen: `127.0.0.1:${place.adminPort}`,
    run_dir: place.dir,
    lua_dir: join(root, 'lua'),
    workers: 2,
    worker_connections: 1024,
    redis_port: place.redisPort,
    // A test that runs as root has directories that other users cannot enter.
    user: process.getuid?.() === 0 ? 'root' : '',
    lua_module: process.env.EBBGATE_NGINX?.includes('openresty') ? 'builtin' : 'debian',
    ...more,
  };
  const conf = renderConf(options, readTemplates(root), productVersion(root));
  if (!conf.ok) throw new Error(conf.error.map(({ message }) => message).join('\n'));
  return conf.value;
}

/** Starts the real gateway there. */
export function startGateway(
  place: GatewayPlace,
  more: GivenOptions = {},
  env: Readonly<Record<string, string>> = {},
): Promise<LocalGateway> {
  const nginx = process.env.EBBGATE_NGINX;
  // Workers keep of the environment what the conf names.
  const kept = Object.keys(env).map((name) => `env ${name};\n`);
  const conf = kept.join('') + gatewayConf(place, more);
  return launchGateway({ ...place, conf, env, ...(nginx ? { nginx } : {}) });
}
