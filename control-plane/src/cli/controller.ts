import type { Command } from 'commander';
import { OPTIONS, parseConfig } from '../config.js';
import { productRoot, productVersion } from './product.js';
import { withSecretFiles } from './secret_files.js';

/** `ebbgate controller`: runs until SIGTERM or SIGINT. Options that do not pass are all listed; exit code 2. */
export function addController(program: Command): void {
  program
    .command('controller')
    .description('run the controller and its API; configured by environment variables')
    .addHelpText('after', `\nEnvironment:\n${describeOptions()}\n${SECRETS_TEXT}`)
    .action(runController);
}

function describeOptions(): string {
  return Object.values(OPTIONS)
    .map(
      ({ env, kind, fallback, doc }) =>
        `  ${env} (${kind.label}; default ${fallback === '' ? 'none' : fallback})\n      ${doc}`,
    )
    .join('\n');
}

const SECRETS_TEXT =
  '\nEBBGATE_TOKEN_FILE and EBBGATE_REDIS_FILE name files that contain EBBGATE_TOKEN and EBBGATE_REDIS.';

async function runController(): Promise<void> {
  const env = withSecretFiles(process.env);
  // Files that cannot be read do not hide what else is wrong.
  const config = parseConfig(env.ok ? env.value : process.env);
  if (!env.ok || !config.ok) {
    const errors = [...(env.ok ? [] : env.error), ...(config.ok ? [] : config.error)];
    for (const message of errors) process.stderr.write(`error: ${message}\n`);
    process.exitCode = 2;
    return;
  }
  // Loaded where it runs: every other command starts without it.
  const [{ pino }, { startController }] = await Promise.all([import('pino'), import('../main.js')]);
  const log = pino({ level: config.value.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const root = productRoot();
  const version = productVersion(root);
  try {
    const running = await startController(config.value, { log, productRoot: root, version });
    const { host, port } = running.address;
    log.info(
      {
        version,
        api: `${config.value.apiTlsCert === '' ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${String(port)}`,
      },
      'controller is up',
    );
    await new Promise<void>((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    log.info({}, 'stopping');
    await running.close();
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
