import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { EBBGATE } from './cli.js';
import { childrenOf } from './process_tree.js';

/** How an instance registers; what is absent is not said. */
export interface RegistrarOptions {
  readonly service: string;
  readonly version: string;
  readonly port: number;
  readonly id?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly backup?: boolean;
  /** Over the environment of the platform. */
  readonly env?: NodeJS.ProcessEnv;
  /** Another `ebbgate` than this checkout's, as program and first argument. */
  readonly ebbgate?: readonly [string, string];
}

/** `ebbgate register … -- ebbgate demo instance …`: an instance of the demo service under its registrar. */
export interface Registrar {
  readonly id: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** SIGTERM to the registrar; resolves with its exit code. */
  leave(): Promise<number | null>;
  /** SIGKILL to registrar and instance at once: nothing is said to anybody. May be called twice. */
  vanish(): Promise<void>;
}

const HOST = '127.0.0.1';
const SESSION = '2s';

/** Starts it, with its log in `dir`; resolves before it is registered. */
export function startRegistrar(dir: string, env: NodeJS.ProcessEnv, options: RegistrarOptions): Registrar {
  const { service, version, port, id = `${HOST}:${String(port)}`, weight, zone, backup } = options;
  const place = ['--service', service, '--version', version, '--host', HOST, '--port', String(port)];
  const said = [
    ...(options.id === undefined ? [] : ['--id', id]),
    ...(weight === undefined ? [] : ['--weight', String(weight)]),
    ...(zone === undefined ? [] : ['--zone', zone]),
    ...(backup === true ? ['--backup'] : []),
    ...['--session', SESSION, '--ready-http', '/'],
  ];
  const [program, ...first] = options.ebbgate ?? EBBGATE;
  const instance = [program, ...first, 'demo', 'instance', ...place, '--instance', id, '--with-parent'];
  const log = openSync(join(dir, `${service}-${String(port)}.log`), 'a');
  const child = spawn(program, [...first, 'register', ...place, ...said, '--', ...instance], {
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  return {
    id,
    port,
    process: child,
    leave: async () => {
      child.kill('SIGTERM');
      const [code] = await exited;
      return code;
    },
    vanish: async () => {
      const { pid } = child;
      if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      for (const one of [pid, ...childrenOf(pid)]) process.kill(one, 'SIGKILL');
      await exited;
    },
  };
}
