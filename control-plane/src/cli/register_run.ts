import { connectionsOf } from '../api/tls/outgoing.js';
import { systemClock } from '../clock.js';
import { readClientIdentity } from '../disk/api_identity.js';
import { askAcceptance } from '../registrar/acceptance.js';
import { askApi } from '../registrar/ask_api.js';
import { askInTurn } from '../registrar/in_turn.js';
import { startChild, type SendSignal } from '../registrar/child.js';
import { answers2xx, READINESS_RULE } from '../registrar/readiness.js';
import { Registrar } from '../registrar/registrar.js';
import { flawOfProvider } from '../registry/provider_data.js';
import { readAccess } from '../zookeeper/access.js';
import { ZooKeeperLink } from '../zookeeper/link.js';
import { createProviderRegistration } from '../zookeeper/provider.js';
import { lineLog } from './line_log.js';
import type { RegisterOptions } from './register_options.js';

/** With --require-accepted. */
const ACCEPTED_WITHIN_MS = 30_000;

/** Registers the instance and runs `command`, if there is one, until a signal or the command's end; resolves with the exit code. */
export async function runRegistrar(
  options: RegisterOptions,
  command: readonly string[],
  token: () => string | undefined,
): Promise<number> {
  const { service, data, readyUrl } = options;
  const log = lineLog(`ebbgate register ${service}`);
  const link = new ZooKeeperLink({
    connect: options.zookeeper,
    sessionTimeoutMs: options.sessionMs,
    log,
    clock: systemClock,
    random: Math.random,
    access: () => readAccess(options.access),
    acl: { registry: { roots: [options.registryRoot], others: options.registrationAcl } },
  });
  const { apiFiles } = options;
  const connections = apiFiles === null ? undefined : connectionsOf(() => readClientIdentity(apiFiles));
  const shared = { service, token, clock: systemClock, ...(connections ? { connections } : {}) };
  const path = `${options.registryRoot}/${service}/providers/${data.id}`;
  const [program, ...args] = command;
  const registrar = new Registrar({
    data,
    registration: createProviderRegistration({
      link,
      root: options.registryRoot,
      service,
      node: data.id,
      check: flawOfProvider,
    }),
    ask: askInTurn(
      options.api,
      (api) => askApi({ ...shared, api, instance: data.id }),
      ({ kind }) => kind !== 'away',
    ),
    accepted: {
      ask: askInTurn(
        options.api,
        (api) => askAcceptance({ ...shared, api, path, data }),
        ({ kind }) => kind !== 'unknown',
      ),
      required: options.requireAccepted,
      withinMs: ACCEPTED_WITHIN_MS,
    },
    readiness:
      readyUrl === undefined
        ? undefined
        : {
            probe: (signal) => answers2xx(readyUrl, signal, systemClock),
            rule: { ...READINESS_RULE, everyMs: options.readyEveryMs },
          },
    startChild:
      program === undefined
        ? undefined
        : () =>
            startChild(
              program,
              args,
              send,
              (message) => {
                log.error({}, message);
              },
              systemClock,
            ),
    drainTimeoutMs: options.drainTimeoutMs,
    stopTimeoutMs: options.stopTimeoutMs,
    clock: systemClock,
    log,
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      registrar.stop();
    });
  await link.start();
  try {
    return await registrar.run();
  } finally {
    await link.close();
  }
}

const send: SendSignal = (pid, signal) => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};
