import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../clock.js';
import { down } from '../local/down.js';
import { DEFAULT_BASE_PORT, DEFAULT_CONTROLLERS, planPorts } from '../local/ports.js';
import type { LocalStatus } from '../local/status.js';
import type { Timer } from '../model/clock.js';
import { checkName, type NameKind } from '../model/names.js';
import { addDemo } from './demo.js';
import { commandFor, DEFAULT_DIR, describeEndpoints, nextCommands } from './local_text.js';
import { detach } from './local_detach.js';
import { productRoot } from './product.js';
import type { Terminal } from './terminal.js';

const DIR_FLAG = '--dir <DIR>';
const DIR_TEXT = 'where state and logs lie';

/** `ebbgate up`, `status`, `down` and `demo …`: a whole Ebbgate on this machine. */
export function addLocal(program: Command, terminal: Terminal): void {
  program
    .command('up')
    .description('run ZooKeeper, Redis, gateways, controllers and demo instances on this machine')
    .option('--detach', 'go to the background once everything is up')
    .option(DIR_FLAG, DIR_TEXT, DEFAULT_DIR)
    .option(
      '--base-port <N>',
      'port of the first gateway; all others lie at fixed distances',
      String(DEFAULT_BASE_PORT),
    )
    .option('--gateways <N>', 'how many gateways', '2')
    .option('--controllers <N>', 'how many controllers', String(DEFAULT_CONTROLLERS))
    .option('--instances <N>', 'how many demo instances', '3')
    .option('--no-demo', 'no demo instances and no route')
    .action(runUp);
  program
    .command('status')
    .description('how the Ebbgate that `up` started is')
    .option(DIR_FLAG, DIR_TEXT, DEFAULT_DIR)
    .option('-o, --output <FORMAT>', 'text or json', 'text')
    .action(runStatus);
  program
    .command('down')
    .description('stop what `up` started')
    .option(DIR_FLAG, DIR_TEXT, DEFAULT_DIR)
    .action(runDown);
  const demo = program.command('demo').description('things to try Ebbgate with');
  addDemo(demo, terminal, { dir: DEFAULT_DIR, ebbgate });
  demo
    .command('instance')
    .description('a tiny service: JSON on every path, ?delay=SECONDS, ?status=N, echo on /ws')
    .requiredOption('--service <NAME>', 'its service')
    .requiredOption('--port <N>', 'where it listens')
    .option('--version <V>', 'its version', 'v1')
    .option('--host <IP>', 'where it listens', '127.0.0.1')
    .option('--instance <ID>', 'its name; HOST:PORT unless given')
    .option('--bad', 'answers 500 to everything but /ready')
    .option('--with-parent', 'end at once when the process that started it ends')
    .action(runDemoInstance);
}

interface UpFlags {
  readonly detach?: boolean;
  readonly dir: string;
  readonly basePort: string;
  readonly gateways: string;
  readonly controllers: string;
  readonly instances: string;
  readonly demo: boolean;
}

async function runUp(flags: UpFlags): Promise<void> {
  const errors: string[] = [];
  const whole = (flag: string, text: string): number => wholeNumber(flag, text, errors);
  const basePort = whole('--base-port', flags.basePort);
  const gateways = whole('--gateways', flags.gateways);
  const controllers = whole('--controllers', flags.controllers);
  const instances = flags.demo ? whole('--instances', flags.instances) : 0;
  if (errors.length === 0) {
    const planned = planPorts(basePort, gateways, instances, controllers);
    if (!planned.ok) errors.push(planned.error);
  }
  if (fail(errors, 2)) return;
  const dir = resolve(flags.dir);
  try {
    if (flags.detach === true) {
      const args = ['--dir', dir, '--base-port', flags.basePort, '--gateways', flags.gateways];
      const more = ['--controllers', flags.controllers, '--instances', String(instances)];
      process.exitCode = await detach(dir, ebbgate(), [...args, ...more]);
      return;
    }
    // What a command runs is loaded with it: every other one starts without it.
    const [{ up }, { gatewayRenderer }] = await Promise.all([
      import('../local/up.js'),
      import('./local_gateway.js'),
    ]);
    await up({
      ...{ dir, basePort, gateways, controllers, instances },
      ...{ ebbgate: ebbgate(), env: process.env, pid: process.pid },
      nginx: process.env.EBBGATE_NGINX,
      token: process.env.EBBGATE_TOKEN,
      renderGateway: gatewayRenderer(process.env.EBBGATE_NGINX),
      say,
      clock: systemClock,
      signal: stopSignals(),
      onReady: (endpoints) => {
        for (const line of describeEndpoints(endpoints)) say(line);
        for (const line of nextCommands(endpoints, dir)) say(line);
      },
    });
    say('Everything has stopped.');
  } catch (error) {
    fail([messageOf(error)], 1);
  }
}

/** Aborts at the first signal. A Ctrl-C may come twice, from the terminal and from npm; `up` stops once. */
function stopSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (!stop.signal.aborted) say('Stopping …');
      stop.abort();
    });
  // Nobody reads any more, as after `| head`: stop in order, where other commands just exit.
  process.stdout.removeAllListeners('error').on('error', () => {
    stop.abort();
  });
  return stop.signal;
}

async function runStatus(flags: { readonly dir: string; readonly output: string }): Promise<void> {
  if (flags.output !== 'text' && flags.output !== 'json') {
    fail([`--output must be text or json (got "${flags.output}")`], 2);
    return;
  }
  const { status } = await import('../local/status.js');
  const found = await status(resolve(flags.dir), process.env.EBBGATE_TOKEN);
  process.exitCode = found.state === 'up' && found.problem === null ? 0 : 1;
  if (flags.output === 'json') say(JSON.stringify(found, undefined, 2));
  else for (const line of describeStatus(found, resolve(flags.dir))) say(line);
}

function describeStatus(found: LocalStatus, dir: string): readonly string[] {
  const lines: Record<LocalStatus['state'], string> = {
    up: `Up in ${dir}, process ${String(found.supervisor)}.`,
    starting: `Starting in ${dir}, process ${String(found.supervisor)}.`,
    crashed: `\`ebbgate up\` was killed in ${dir}; \`${commandFor('down', dir)}\` ends what it left.`,
    down: `Nothing runs in ${dir}; \`${commandFor('up', dir)}\` starts it.`,
  };
  return [
    lines[found.state],
    ...found.processes.map(
      ({ name, pid, running }) => `  ${name.padEnd(30)} process ${String(pid)}${running ? '' : ' (gone)'}`,
    ),
    ...(found.endpoints === null ? [] : describeEndpoints(found.endpoints)),
    ...(found.problem === null ? [] : [`The control API is not ready: ${found.problem}`]),
  ];
}

async function runDown(flags: { readonly dir: string }): Promise<void> {
  const result = await down(resolve(flags.dir), process.pid);
  say(
    {
      stopped: 'Everything has stopped.',
      cleaned: '`ebbgate up` was gone; what it left has been ended.',
      nothing: `Nothing runs in ${flags.dir}.`,
    }[result],
  );
}

interface DemoFlags {
  readonly service: string;
  readonly port: string;
  readonly version: string;
  readonly host: string;
  readonly instance?: string;
  readonly withParent?: boolean;
  readonly bad?: boolean;
}

async function runDemoInstance(flags: DemoFlags): Promise<void> {
  const errors: string[] = [];
  const port = wholeNumber('--port', flags.port, errors);
  const instance = flags.instance ?? `${flags.host}:${flags.port}`;
  const names: readonly (readonly [NameKind, string, string])[] = [
    ['service', flags.service, '--service'],
    ['version', flags.version, '--version'],
    ['instance', instance, '--instance'],
  ];
  for (const [kind, value, flag] of names) {
    const checked = checkName(kind, value, flag);
    if (!checked.ok) errors.push(checked.error.message);
  }
  if (port > 65_535) errors.push(`--port must be at most 65535 (got "${flags.port}")`);
  if (fail(errors, 2)) return;
  const watch = flags.withParent === true ? endWithParent() : null;
  const stopped = new Promise<void>((done) => {
    process.once('SIGTERM', done).once('SIGINT', done);
  });
  try {
    const { startDemoInstance } = await import('../local/demo_instance.js');
    const demo = await startDemoInstance({ ...flags, instance, port });
    await stopped;
    await demo.close();
  } catch (error) {
    fail([messageOf(error)], 1);
  } finally {
    watch?.stop();
  }
}

/** Without it, `kill -9` of a registrar would leave its instance running: not what dying looks like. */
function endWithParent(): Timer {
  const parent = process.ppid;
  return systemClock.every(200, () => {
    if (process.ppid !== parent) process.exit(1);
  });
}

/** How the children of a local Ebbgate run this very product. */
function ebbgate(): [string, string] {
  return [process.execPath, join(productRoot(), 'scripts', 'ebbgate.mjs')];
}

function wholeNumber(flag: string, text: string, errors: string[]): number {
  if (!/^\d{1,6}$/.test(text)) errors.push(`${flag} must be a whole number (got "${text}")`);
  return Number(text);
}

/** Prints the errors and sets the exit code; false if there are none. */
function fail(errors: readonly string[], code: number): boolean {
  for (const message of errors) process.stderr.write(`error: ${message}\n`);
  if (errors.length > 0) process.exitCode = code;
  return errors.length > 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
