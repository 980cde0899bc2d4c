import type { Command } from 'commander';
import { own } from '../model/dictionary.js';
import { addApiFiles } from './api_files.js';
import { withSecretFiles, type Environment } from './secret_files.js';
import { parseRegisterFlags, type RegisterFlags } from './register_options.js';

/**
 * `ebbgate register`: registers an instance for as long as it runs. Signals: the first lets it leave (drain, stop,
 * deregister), the second skips the drain, the third kills the command. Exit code: the command's, else 0; 2 for bad
 * flags; with --require-accepted 5 after a refusal, 7 without an acceptance in time.
 */
export function addRegister(program: Command): void {
  const command = program
    .command('register')
    .description('register an instance, run its command, and drain it before it stops')
    .argument('[command...]', 'after --: run it as a child, and pass on its exit code')
    .option('--service <NAME>', 'the service it belongs to')
    .option('--host <IP>', 'the address gateways send to')
    .option('--port <N>', 'its port')
    .option('--version <V>', 'the version it runs')
    .option('--weight <N>', '0 to 10000; 100 unless given')
    .option('--id <ID>', 'its identity, kept over restarts; HOST:PORT unless given')
    .option('--zone <ZONE>', 'the zone it runs in')
    .option('--backup', 'used only while no other instance of the service may be')
    .option('--label <KEY=VALUE>', 'may be repeated', collect)
    .option(
      '--ready-http <PATH>',
      'register once http://HOST:PORT/PATH answers 2xx; unready while it does not',
    )
    .option('--ready-interval <DURATION>', 'how often that is asked; 1s unless given')
    .option(
      '--drain-timeout <DURATION>',
      'go without proof after this, also when the API is away; 30s unless given',
    )
    .option('--stop-timeout <DURATION>', 'from SIGTERM to SIGKILL of the command; 10s unless given')
    .option('--session <DURATION>', 'ZooKeeper session: how long a loss stays unnoticed; 10s unless given')
    .option('--zookeeper <HOST:PORT,…>', 'or EBBGATE_ZOOKEEPER')
    .option(
      '--zookeeper-auth-file <FILE>',
      'lines digest:user:password: who registers; or EBBGATE_ZOOKEEPER_AUTH_FILE',
    )
    .option(
      '--registration-acl <ACL>',
      'what others may do with what is registered by that user, as zkCli writes it, or none; world:anyone:r unless given; or EBBGATE_ZOOKEEPER_REGISTRATION_ACL',
    )
    .option('--zookeeper-tls <on|off>', 'or EBBGATE_ZOOKEEPER_TLS; off unless given')
    .option(
      '--zookeeper-tls-ca <FILE>',
      "PEM: who signs the servers' certificates; or EBBGATE_ZOOKEEPER_TLS_CA; whom Node trusts unless given",
    )
    .option('--zookeeper-tls-cert <FILE>', 'PEM: the own certificate; or EBBGATE_ZOOKEEPER_TLS_CERT')
    .option('--zookeeper-tls-key <FILE>', 'PEM: its key; or EBBGATE_ZOOKEEPER_TLS_KEY')
    .option('--registry-root <PATH>', 'where services register; /services unless given')
    .option(
      '--api <URL,...>',
      'or EBBGATE_API, of several controllers with commas; http://127.0.0.1:8090 unless given; its token from EBBGATE_TOKEN or EBBGATE_TOKEN_FILE',
    )
    .option(
      '--require-accepted',
      'exit if the controller refuses the registration (code 5), or accepts it not within 30s (code 7)',
    )
    .action(runRegister);
  addApiFiles(command);
}

async function runRegister(command: readonly string[], flags: RegisterFlags): Promise<void> {
  const env = withSecretFiles(process.env);
  const given = env.ok ? env.value : process.env;
  const { EBBGATE_TOKEN } = given;
  const parsed = parseRegisterFlags({ ...flagsIn(given), ...flags }, given);
  if (!parsed.ok || !env.ok) {
    const errors = [...(parsed.ok ? [] : parsed.error), ...(env.ok ? [] : env.error)];
    for (const message of errors) process.stderr.write(`error: ${message}\n`);
    process.exitCode = 2;
    return;
  }
  // Loaded where it runs: every other command starts without it.
  const { runRegistrar } = await import('./register_run.js');
  process.exitCode = await runRegistrar(parsed.value, command, () => tokenNow() ?? EBBGATE_TOKEN);
}

/** What a flag that is not given takes from the environment; an empty variable counts as absent. */
function flagsIn(env: Environment): RegisterFlags {
  const variables: readonly (readonly [keyof RegisterFlags, string])[] = [
    ['zookeeper', 'EBBGATE_ZOOKEEPER'],
    ['zookeeperAuthFile', 'EBBGATE_ZOOKEEPER_AUTH_FILE'],
    ['registrationAcl', 'EBBGATE_ZOOKEEPER_REGISTRATION_ACL'],
    ['zookeeperTls', 'EBBGATE_ZOOKEEPER_TLS'],
    ['zookeeperTlsCa', 'EBBGATE_ZOOKEEPER_TLS_CA'],
    ['zookeeperTlsCert', 'EBBGATE_ZOOKEEPER_TLS_CERT'],
    ['zookeeperTlsKey', 'EBBGATE_ZOOKEEPER_TLS_KEY'],
    ['api', 'EBBGATE_API'],
  ];
  return Object.fromEntries(
    variables.flatMap(([flag, variable]) => {
      const value = own(env, variable);
      return value ? [[flag, value]] : [];
    }),
  );
}

/** The token that its file contains now; undefined if that cannot be read. */
function tokenNow(): string | undefined {
  const env = withSecretFiles(process.env);
  return env.ok ? env.value['EBBGATE_TOKEN'] : undefined;
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
