import type { LinkState } from '../model/ports.js';
import type { ClockState, DependencyState, ReadinessResource } from '../model/readiness.js';
import type { Following } from './office/following.js';
import type { Leadership } from './office/leadership.js';
import type { Publication } from './office/publication.js';
import type { Refusal } from './inputs/writability.js';

/** What this controller is now. */
export function roleOf(
  leadership: Pick<Leadership, 'state'>,
  publication: Pick<Publication, 'isOpen'>,
): ReadinessResource['controller']['state'] {
  if (leadership.state === 'standby') return 'standby';
  return publication.isOpen ? 'leading' : 'starting';
}

/**
 * What /readyz says. Ready = knowing the registry, and able to write both stores, which is tried; and either leading, or a standby
 * that knows what the leader has published.
 */
export function readinessOf(facts: {
  readonly clock: ClockState;
  readonly leadership: Pick<Leadership, 'state' | 'term' | 'since' | 'isElected'>;
  readonly publication: Pick<Publication, 'isOpen' | 'since'>;
  readonly following: Pick<Following, 'followed'>;
  readonly hasView: boolean;
  readonly dataLoss: string | null;
  readonly registryProblem: string | null;
  /** Since when (milliseconds of the wall clock) the registry cannot be read; null while it can. */
  readonly registrySince: number | null;
  readonly zookeeper: LinkState;
  /** Why a store refuses writes, or null: tried, see writability.ts. */
  readonly refusals: { readonly zookeeper: Refusal; readonly redis: Refusal };
  readonly publisher: LinkState;
  readonly feedback: LinkState;
}): ReadinessResource {
  const { leadership, publication } = facts;
  const role = roleOf(leadership, publication);
  const isStandby = role === 'standby';
  const isReady = isStandby ? facts.following.followed !== null : role === 'leading';
  const answers = refusing(dependency(facts.zookeeper), facts.refusals.zookeeper);
  const zookeeper =
    leadership.state === 'leading' && !leadership.isElected ? withoutElection(answers) : answers;
  const problem = facts.dataLoss ?? facts.registryProblem;
  const registry: DependencyState =
    problem === null || zookeeper.state !== 'ok'
      ? zookeeper
      : { ...zookeeper, state: 'degraded', detail: problem, ...registryAge(facts) };
  const redis = refusing(
    worse(dependency(facts.publisher), dependency(facts.feedback)),
    facts.refusals.redis,
  );
  return {
    ready:
      isReady && facts.dataLoss === null && facts.hasView && registry.state === 'ok' && redis.state === 'ok',
    controller: {
      state: role,
      epoch: (isStandby ? facts.following.followed?.epoch : leadership.term?.epoch) ?? null,
      since: new Date(isStandby ? leadership.since : publication.since).toISOString(),
    },
    zookeeper: registry,
    redis,
    clock: facts.clock,
    data_loss: facts.dataLoss,
  };
}

function dependency(link: LinkState): DependencyState {
  const state = { connected: 'ok', degraded: 'degraded', connecting: 'down' }[
    link.state
  ] as DependencyState['state'];
  const since = new Date(link.since).toISOString();
  return { state, since, detail: link.detail, stale_since: state === 'ok' ? null : since };
}

/** The link is connected, and the registry cannot be read over it. */
function registryAge({ registrySince }: { readonly registrySince: number | null }): Partial<DependencyState> {
  if (registrySince === null) return {};
  const since = new Date(registrySince).toISOString();
  return { since, stale_since: since };
}

/** A store that answers and takes no writes. */
function refusing(store: DependencyState, refusal: Refusal): DependencyState {
  if (refusal === null || store.state !== 'ok') return store;
  const since = new Date(refusal.since).toISOString();
  return { ...store, state: 'degraded', since, detail: `refuses writes: ${refusal.reason}` };
}

/** A leader that has no answer whether it still is one: it writes nothing meanwhile. */
function withoutElection(store: DependencyState): DependencyState {
  if (store.state !== 'ok') return store;
  return { ...store, state: 'degraded', detail: 'it does not say which controller leads' };
}

function worse(a: DependencyState, b: DependencyState): DependencyState {
  const order = ['ok', 'degraded', 'down'];
  return order.indexOf(b.state) > order.indexOf(a.state) ? b : a;
}
