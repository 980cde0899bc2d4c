/*
 * The one door through which e2e/ and bench/ reach into the control plane, so that inner files can move without them.
 * Not part of the product's build. A name goes in when a scenario or a benchmark needs it, and out when none does.
 */

/** Where the product's own files are, and which version it is. */
export { productRoot, productVersion, readTemplates } from './cli/product.js';

/** Starts and finds real servers, gateways and the demo. */
export { launchGateway, type LocalGateway } from './local/gateway.js';
export { reservePlan, reservePort } from './local/port_reservation.js';
export { DEFAULT_BASE_PORT, planPorts, takenPorts } from './local/ports.js';
export { launch, type LocalProcess } from './local/process.js';
export { lives, MARK, marked, send } from './local/processes.js';
export { ask, launchRedis } from './local/redis.js';
export {
  redisCli,
  startClusterRig,
  startSentinelRig,
  startSingleRig,
  startTlsRedis,
  type RigRedis,
} from './local/redis_topologies.js';
export { readEndpoints, readState, type Endpoints } from './local/state.js';
export { launchZooKeeper } from './local/zookeeper.js';

/** Renders a gateway's configuration. */
export type { GivenOptions } from './render/options.js';
export { renderConf } from './render/render.js';

/** What the API answers. */
export type { ReleaseOutcome } from './model/release_plane.js';
export type { ReleaseResource } from './model/release_resources.js';
export type { AuditResource } from './model/audit.js';
export type {
  ControllerResource,
  GatewayResource,
  InstanceResource,
  OperationResource,
  IntentResource,
  ServiceEvent,
  ServiceResource,
} from './model/resources.js';
export type { MutationResource } from './model/mutation.js';
export type { ProtectionResource, ReadinessResource } from './model/readiness.js';
export { hasEnded, type ReleaseEvent, type ReleaseState } from './model/release.js';
export type { UpgradeBody } from './plan/release/call.js';
export { matchRoute } from './plan/routes/match.js';
export { routedPath } from './plan/routes/target.js';

/** What lies in Redis and ZooKeeper: sets, heartbeats, registrations, intents. */
export {
  inFlightKey,
  type FleetReport,
  type HeardGateway,
  type Heartbeat,
  type RosterEntry,
} from './model/gateway.js';
export { NO_INTENT, type IntentRecord, type StoredIntent } from './model/intent.js';
export { parseDocument } from './redis/documents.js';
export type { Limit } from './model/limit.js';
export type { ConsumerResource } from './model/api_consumer.js';
export type { Position } from './model/position.js';
export type { Registration, RegistryState } from './model/registration.js';
export {
  ALGORITHMS,
  type Algorithm,
  type Balancer,
  type Health,
  type HealthCheck,
  type Peer,
  type Retry,
  type Route,
  type ServiceSet,
} from './model/set.js';

/** Runs parts of the control plane without the rest: a ZooKeeper session, a registration. */
export { systemClock } from './clock.js';
export type { Clock, Lifecycle, Publisher, Term } from './model/ports.js';
export { err, ok } from './model/result.js';
export { connect, type ZooKeeperConnection } from './zookeeper/connection.js';
export { ZooKeeperLink } from './zookeeper/link.js';
export { flawOfProvider } from './registry/provider_data.js';
export { createProviderRegistration } from './zookeeper/provider.js';

/** The controller without its stores and its API. Loaded on demand: few need it, and it takes a second. */
export type { Controller } from './controller/controller.js';
export type { ControllerDeps } from './controller/rooms.js';
export async function loadController() {
  const [{ Controller }, { createHooks }, { createPrometheus }] = await Promise.all([
    import('./controller/controller.js'),
    import('./hooks/hooks.js'),
    import('./hooks/prometheus.js'),
  ]);
  return { Controller, createHooks, createPrometheus };
}

/** The publisher and its scripts. Loaded on demand, as the controller is. */
export async function loadPublisher() {
  const [{ createPublisher }, { loadScripts }] = await Promise.all([
    import('./redis/publisher.js'),
    import('./redis/scripts.js'),
  ]);
  return { createPublisher, loadScripts };
}

/** Test tools: builders, a recorded log, a TCP proxy that breaks links, registrants of other makers. */
export { buildHeartbeat, buildRegistration } from './testing/builders.js';
export { MemoryElections } from './testing/memory/elections.js';
export { createRecordCodec } from './zookeeper/record_codec.js';
export { MemoryTruth } from './testing/memory/truth.js';
export { MemorySets } from './testing/memory/published_sets.js';
export { startKazoo, zkCli, type KazooRegistrant } from './testing/foreign_registrants.js';
export { Authority, type Certificate } from './testing/certificates.js';
export { createRecordingLog } from './testing/log.js';
export { HIGH_AVAILABILITY, readCompose, type Service } from './testing/compose.js';
export { startTcpProxy, type ProxyMode, type TcpProxy } from './testing/tcp_proxy.js';
