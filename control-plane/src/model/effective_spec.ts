import type { Auth } from './auth.js';
import type { Breaker, BreakerAnswer } from './breaker.js';
import type { Concurrency } from './concurrency.js';
import type { FilledLimit } from './limit.js';
import type { RouteSpec } from './route.js';
import type { Balancer, HashOn, Health, HealthCheck, Retry, Sticky, Timeouts, Upstream } from './set.js';

/** The spec with every default filled in. */
export interface EffectiveSpec extends EffectiveSections {
  readonly routes: readonly RouteSpec[];
  readonly min_available: number;
  readonly version_fallback: boolean;
}

/** What of it goes into the set. null = none. */
export interface EffectiveSections {
  readonly balancer: Required<Omit<Balancer, 'hash_on' | 'sticky'>> & {
    readonly hash_on: { readonly source: HashOn['source']; readonly name: string | null } | null;
    readonly sticky: Required<Sticky> | null;
  };
  readonly timeouts: Required<Timeouts>;
  readonly retry: Required<Retry>;
  readonly health: Required<Omit<Health, 'check'>> & { readonly check: Required<HealthCheck> | null };
  readonly breaker: Required<Omit<Breaker, 'answer'>> & { readonly answer: Required<BreakerAnswer> | null };
  readonly auth: Required<Auth>;
  readonly concurrency: Required<Omit<Concurrency, 'priority_header'>> & {
    readonly priority_header: string | null;
  };
  readonly limits: readonly FilledLimit[];
  readonly upstream: Required<Upstream>;
}
