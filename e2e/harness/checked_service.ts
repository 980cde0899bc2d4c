import type { Health, HealthCheck, Heartbeat, ServiceSet } from '../../control-plane/src/testkit.js';
import type { FaultyInstance } from './faulty_instance.js';
import type { Workbench } from './workbench.js';

export const CHECK: HealthCheck = {
  type: 'http',
  path: '/health',
  interval_ms: 200,
  timeout_ms: 300,
  rise: 2,
  fall: 2,
};

/** A set whose requests eject nobody: only checks do. */
export function checkedSet(
  check: Partial<HealthCheck> = {},
  more: Partial<Health> = {},
): Partial<ServiceSet> {
  return { health: { max_fails: 0, fail_timeout_ms: 10_000, check: { ...CHECK, ...check }, ...more } };
}

type Reported = Heartbeat & {
  readonly health?: Readonly<Record<string, { readonly state: string; readonly reason: string }>>;
};

/** What the gateway reports of the instance: `healthy`, or a state and its reason. */
export async function conditionOf(bench: Workbench, one: FaultyInstance): Promise<string> {
  const beat: Reported | null = await bench.publishing.heartbeat(bench.place.id);
  const reported = beat?.health?.[`${one.service}|${one.id}`];
  return reported === undefined ? 'healthy' : `${reported.state}: ${reported.reason}`;
}

/** Milliseconds between one check and the next. */
export function gaps({ checks }: FaultyInstance): readonly number[] {
  return checks.slice(1).map(({ at }, i) => at - checks[i]!.at);
}
