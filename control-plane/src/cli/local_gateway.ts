import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { GatewayPlace } from '../local/up.js';
import { renderConf } from '../render/render.js';
import { productRoot, productVersion, readTemplates } from './product.js';

/** Renders the conf of a local gateway: 2 workers on 127.0.0.1, run by whoever runs this. */
export function gatewayRenderer(nginx: string | undefined): (place: GatewayPlace) => string {
  const root = productRoot();
  return ({ id, dir, port, adminPort, redisPort }) => {
    const rendered = renderConf(
      {
        gateway_id: id,
        listen: [`127.0.0.1:${String(port)}`],
        admin_listen: `127.0.0.1:${String(adminPort)}`,
        run_dir: dir,
        lua_dir: join(root, 'lua'),
        lua_module: hasBuiltinLua(nginx) ? 'builtin' : 'debian',
        user: userInfo().username,
        workers: 2,
        redis_host: '127.0.0.1',
        redis_port: redisPort,
        sticky_key_file: stickyKeys(dirname(dir)),
      },
      readTemplates(root),
      productVersion(root),
    );
    if (rendered.ok) return rendered.value;
    throw new Error(rendered.error.map(({ message }) => message).join('\n'));
  };
}

/** The file of the key that all local gateways share; made once. */
function stickyKeys(dir: string): string {
  const file = join(dir, 'sticky.keys');
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  return file;
}

/** OpenResty brings Lua along; Debian's nginx loads it as a module. `nginx -V` shows which it is. */
function hasBuiltinLua(nginx: string | undefined): boolean {
  if (nginx === undefined || nginx === '') return false;
  const asked = spawnSync(nginx, ['-V'], { encoding: 'utf8' });
  if (asked.error) throw new Error(`EBBGATE_NGINX: ${nginx} cannot be run: ${asked.error.message}`);
  return /--add-module=\S*ngx_lua|openresty/.test(asked.stderr);
}
