import type { IntentRecord } from '../model/intent.js';
import type { Registration } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { ServiceMembers } from './membership.js';

/** Everything that decides what becomes of the members of one service. What is an object here never changes. */
export interface ServiceInput {
  readonly members: ServiceMembers;
  /** What is registered, by id. */
  readonly seen: ReadonlyMap<string, Registration>;
  /** True if nodes of it could not be read. */
  readonly unread: boolean;
  readonly record: IntentRecord;
  readonly release: ReleaseTraffic | null;
  /** Removals wait until then: the end of the last gap in ZooKeeper's answers plus the settle time. */
  readonly settle_until: number;
}

/** `now` is monotonic, `due` the wall clock until which what was to end has expired. */
export interface Moment {
  readonly now: number;
  readonly due: number;
}
