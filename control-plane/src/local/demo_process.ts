import { setTimeout as pause } from 'node:timers/promises';
import { DEMO_READY_PATH } from './demo_names.js';
import { launch, type LocalProcess } from './process.js';
import { killGroup, recordOf, send } from './processes.js';
import { ask } from './redis.js';

/** A demo instance under its registrar; `registrar` ends once the instance has left. */
export interface DemoInstanceProcess {
  readonly id: string;
  readonly registrar: LocalProcess;
  /** Lets it leave; hastens it soon, because no gateway is left to prove anything; kills it after about 2 s. */
  stop(): Promise<void>;
}

const HASTEN_MS = 300;
const KILL_MS = 2_000;

/** Starts `ebbgate register … -- ebbgate demo instance …` and waits until the instance answers. */
export async function demoInstance(options: {
  readonly service: string;
  readonly version: string;
  readonly port: number;
  /** Fails every request, and says that it is ready. */
  readonly bad?: boolean;
  /** How to run `ebbgate`. */
  readonly ebbgate: readonly [string, ...string[]];
  /** Duration of the ZooKeeper session. */
  readonly session: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
}): Promise<DemoInstanceProcess> {
  const { service, version, port, ebbgate, bad = false } = options;
  const ready = bad ? DEMO_READY_PATH : '/';
  const id = `127.0.0.1:${String(port)}`;
  const [program, ...first] = ebbgate;
  const place = ['--service', service, '--version', version, '--host', '127.0.0.1', '--port', String(port)];
  const command = [
    program,
    ...first,
    'demo',
    'instance',
    ...place,
    '--with-parent',
    ...(bad ? ['--bad'] : []),
  ];
  const registrar = await launch({
    name: `demo instance ${id}`,
    command: program,
    args: [
      ...first,
      'register',
      ...place,
      '--ready-http',
      ready,
      '--session',
      options.session,
      '--',
      ...command,
    ],
    env: options.env,
    logFile: options.logFile,
    readyTimeoutMs: 30_000,
    ready: () => ask(port, `GET ${ready} HTTP/1.0\r\n\r\n`, ' 200 '),
  });
  const record = recordOf(id, registrar.pid);
  return {
    id,
    registrar,
    async stop() {
      for (const wait of [HASTEN_MS, KILL_MS]) {
        if (!send(registrar.pid, 'SIGTERM')) break;
        send(registrar.pid, 'SIGCONT');
        const waiting = new AbortController();
        const timeout = pause(wait, undefined, { signal: waiting.signal }).catch(() => undefined);
        await Promise.race([registrar.exited, timeout]);
        waiting.abort();
      }
      if (record !== undefined) killGroup(record);
      await registrar.exited;
    },
  };
}
