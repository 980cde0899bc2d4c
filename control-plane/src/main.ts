import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { forwardByHttp } from './api/forward_http.js';
import { createApi } from './api/server.js';
import { ApiCertificate } from './api/tls/certificate.js';
import { connectionsOf } from './api/tls/outgoing.js';
import { systemClock } from './clock.js';
import { API_TLS_NAMES, apiTlsFiles, zooKeeperAccess, type Config } from './config.js';
import { Controller } from './controller/controller.js';
import { createMetrics } from './controller/metrics.js';
import { createHooks } from './hooks/hooks.js';
import { createPrometheus } from './hooks/prometheus.js';
import { readClientIdentity, readServerIdentity } from './disk/api_identity.js';
import { createCopyFile } from './disk/copy_file.js';
import { addressId } from './model/names.js';
import type { Lifecycle, Log } from './model/ports.js';
import { encodeCopy, encodeHead, epochIn, joinCopy } from './plan/copy_document.js';
import { createRedisCopy } from './redis/copy.js';
import { createFeedback } from './redis/feedback.js';
import { createPublisher } from './redis/publisher.js';
import { loadScripts } from './redis/scripts.js';
import { createTrafficReader } from './redis/traffic.js';
import { registryRoots } from './registry/formats.js';
import { readAccess } from './zookeeper/access.js';
import { accessProblems } from './zookeeper/access_problems.js';
import { readZooKeeperTime } from './zookeeper/clock.js';
import { createConsumers } from './zookeeper/consumers.js';
import { createElection } from './zookeeper/election.js';
import { createOffice } from './zookeeper/epoch.js';
import { createAuditStore } from './zookeeper/audit.js';
import { createFreezeStore } from './zookeeper/freezes.js';
import { createHistoryStore } from './zookeeper/histories.js';
import { createIntentStore } from './zookeeper/intents.js';
import { ZooKeeperLink } from './zookeeper/link.js';
import { NodePermissions } from './zookeeper/permissions.js';
import { createRecordCodec } from './zookeeper/record_codec.js';
import { createRegistrySource } from './zookeeper/registry.js';
import { createReleaseStore } from './zookeeper/releases.js';
import { createRosterStore } from './zookeeper/roster.js';
import { createApiConsumerStore } from './zookeeper/api_consumers.js';
import { createTokenStore } from './zookeeper/tokens.js';
import { createZooKeeperProbe } from './zookeeper/write_probe.js';

/** What the controller needs besides its configuration. */
export interface ControllerSurroundings {
  readonly log: Log;
  /** The directory with lua/redis. */
  readonly productRoot: string;
  readonly version: string;
}

/** A controller that runs, with its API listening at `address`. */
export interface RunningController extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  /** Ends the API, then the loop, then the links. Never rejects. */
  close(): Promise<void>;
}

/**
 * The composition root: configuration → objects → start. Rejects if the API cannot listen; ZooKeeper and Redis may be away.
 */
export async function startController(
  config: Config,
  surroundings: ControllerSurroundings,
): Promise<RunningController> {
  const { log, productRoot, version } = surroundings;
  const clock = systemClock;
  const registryPaths = config.registryRoots.map(({ path }) => path);
  const files = zooKeeperAccess(config);
  if (!files.ok) throw new TypeError(files.error);
  const newLink = (): ZooKeeperLink =>
    new ZooKeeperLink({
      connect: config.zookeeper,
      sessionTimeoutMs: config.zookeeperSessionMs,
      log,
      clock,
      random: Math.random,
      recheckMs: config.recheckMs,
      access: () => readAccess(files.value),
      acl: {
        own: { root: config.root, others: config.zookeeperAcl },
        registry: { roots: registryPaths, others: config.registrationAcl },
      },
    });
  const [link, electionLink] = [newLink(), newLink()];
  const owner = randomUUID();
  const certificate = apiCertificate(config, log);
  const redis = { url: config.redis, log, clock };
  const roots = registryRoots(config.registryRoots, config.allowedNetworks);
  const scripts = await loadScripts(join(productRoot, 'lua', 'redis'));
  const publisher = createPublisher({ ...redis, scripts });
  const election = createElection(electionLink, {
    ...{ root: config.root, guid: owner },
    controller: {
      ...{ id: config.controllerId, version, started_at: new Date(clock.wall()).toISOString() },
      address: advertisedAddress(config),
    },
  });
  const permissions = new NodePermissions(link, {
    ...{ root: config.root, registryRoots: registryPaths },
    leads: () => election.state() === 'elected',
  });
  election.onChange(() => {
    permissions.look();
  });
  const audit = createAuditStore(link, { root: config.root });
  const truth = { root: config.root, audit };
  const controller = new Controller({
    registry: createRegistrySource(link, { roots }),
    office: createOffice(link, { root: config.root, owner }),
    election,
    intents: createIntentStore(link, truth),
    histories: createHistoryStore(link, truth),
    roster: createRosterStore(link, truth),
    releases: createReleaseStore(link, truth),
    traffic: createTrafficReader(redis),
    freezes: createFreezeStore(link, truth),
    audit,
    tokens: createTokenStore(link, truth),
    apiConsumers: createApiConsumerStore(link, truth),
    hooks: createHooks({
      prefixes: config.hooks,
      commands: config.hookCommands,
      path: process.env['PATH'] ?? '',
      clock,
    }),
    prometheus: createPrometheus(config.prometheus, clock),
    consumers: createConsumers(link, {
      root: registryPaths[0] ?? '/services',
      node: { id: config.controllerId, host: hostname() },
    }),
    publisher,
    feedback: createFeedback(redis),
    truthLink: () => link.state(),
    truthView: { heardAt: () => link.heardAt, caughtUp: () => link.caughtUp() },
    probeTruth: createZooKeeperProbe(link, { root: config.root }),
    accessProblems: () => [
      ...accessProblems(link, permissions, config.zookeeperAuthFile),
      ...(certificate?.problems() ?? []),
    ],
    storeClocks: { zookeeper: () => readZooKeeperTime(link, config.root), redis: () => publisher.time() },
    copyPlaces: [
      createRedisCopy({ ...redis, script: scripts.copy, headOf: encodeHead, join: joinCopy }),
      ...(config.stateDir === '' ? [] : [createCopyFile(config.stateDir, encodeCopy, epochIn)]),
    ],
    recordCodec: createRecordCodec(),
    clock,
    log,
    newId: () => `op-${randomBytes(6).toString('hex')}`,
    newReleaseId: () => `rel-${randomBytes(6).toString('hex')}`,
    settings: config,
  });
  const api = createApi({
    plane: controller.plane,
    log,
    token: config.token === '' ? null : config.token,
    listen: config.apiListen,
    clock,
    version,
    randomId: randomUUID,
    randomBytes,
    metrics: createMetrics(controller.plane, () => certificate?.present.ends ?? null),
    forwardTo: forwardByHttp(
      connectionsOf(() => readClientIdentity({ ca: config.apiCa, cert: '', key: '' })),
    ),
    certificate,
  });
  await api.start();
  // From first to last in the way of the data; closed the other way round.
  const parts: readonly Lifecycle[] = [electionLink, controller, link];
  for (const part of parts) await part.start();
  permissions.start();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      // Another controller leads while this one answers what it has begun.
      for (const part of [election, api, controller, permissions, link, electionLink]) await part.close();
    })());
  return { address: api.address(), close, [Symbol.asyncDispose]: close };
}

/** The certificate of the API; null = plain HTTP. Throws if its files cannot be used. */
function apiCertificate(config: Config, log: Log): ApiCertificate | null {
  const files = apiTlsFiles(config);
  if (files === null) return null;
  const read = () => readServerIdentity(files);
  const first = read();
  if (!first.ok) throw new TypeError(`${API_TLS_NAMES[first.error.of]}: ${first.error.message}`);
  const address = advertisedAddress(config);
  if (!first.value.isFor(new URL(address).hostname.replaceAll(/[[\]]/g, '')))
    log.warn(
      { address },
      'the certificate of the control API does not name the address under which other controllers reach this one: they can send no changes on to it; set EBBGATE_API_ADVERTISE to a name that it has',
    );
  return new ApiCertificate(first.value, { read, names: API_TLS_NAMES, clock: systemClock, log });
}

/** Where other controllers reach the API. */
function advertisedAddress(config: Config): string {
  if (config.apiAdvertise !== '') return config.apiAdvertise;
  return `${apiTlsFiles(config) === null ? 'http' : 'https'}://${spellListen(config.apiListen)}`;
}

/** Where others reach what listens there: this host, if it listens on every address. */
function spellListen({ host, port }: Config['apiListen']): string {
  const name = ['0.0.0.0', '::'].includes(host) ? hostname() : host;
  return addressId(name, port);
}
