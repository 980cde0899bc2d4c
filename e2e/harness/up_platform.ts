import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEndpoints, readState, reservePlan } from '../../control-plane/src/testkit.js';
import { runCli } from './cli.js';
import { Platform, type PlatformGateway } from './platform.js';

/** A platform that is started by the command that a user types: `ebbgate up --detach`. It restarts what dies. */
export class UpPlatform extends Platform {
  /** Starts all of it; no instance unless `instances` says so. */
  static async start(
    options: { readonly gateways?: number; readonly instances?: number } = {},
  ): Promise<UpPlatform> {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-up-'));
    const { gateways = 2, instances = 0 } = options;
    const demo = instances === 0 ? ['--no-demo'] : ['--instances', String(instances)];
    for (let attempt = 1; ; attempt += 1) {
      const { base } = await reservePlan(gateways, instances);
      const place = ['--dir', dir, '--base-port', String(base), '--gateways', String(gateways)];
      const started = await runCli(['up', '--detach', ...place, ...demo]);
      if (started.code === 0) break;
      // Only somebody who reserves nothing can have taken a port meanwhile.
      if (attempt === 5 || !/taken/.test(started.stderr + started.stdout))
        throw new Error(`ebbgate up failed (${String(started.code)}):\n${started.stdout}${started.stderr}`);
    }
    const endpoints = readEndpoints(dir);
    if (endpoints === undefined) throw new Error(`ebbgate up wrote no endpoints in ${dir}`);
    const { zookeeper, redis, api, gateways: urls, gateway_admin: adminUrls } = endpoints;
    const ports = { zookeeper: portOf(zookeeper), redis: portOf(redis), api: portOf(api) };
    return new UpPlatform(
      dir,
      ports,
      urls.map((url, n) => ({ id: `gateway-${String(n + 1)}`, url, adminUrl: adminUrls[n] ?? '' })),
    );
  }

  private constructor(dir: string, ports: Platform['ports'], gateways: readonly PlatformGateway[]) {
    super(dir, ports, gateways);
  }

  protected override masters(): readonly number[] {
    const processes = readState(this.dir)?.processes ?? [];
    return processes.filter(({ name }) => name.startsWith('gateway-')).map(({ pid }) => pid);
  }

  protected override async end(): Promise<void> {
    const down = await runCli(['down', '--dir', this.dir]);
    if (down.code !== 0) throw new Error(`ebbgate down failed: ${down.stdout}${down.stderr}`);
    if (process.env.EBBGATE_KEEP === undefined) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The port of `host:port`, with or without a scheme. */
function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
