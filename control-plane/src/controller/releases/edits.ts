import type { Problem } from '../../model/problem.js';
import {
  type ReleaseRecord,
  type ServiceReleases,
  type StoredRelease,
  hasEnded,
} from '../../model/release.js';
import type { ReleaseContext, ReleaseRequest } from '../../model/release_plane.js';
import type { ReleaseEdit } from '../../model/release_ports.js';
import { sha1 } from '../../plan/encode.js';
import { err, ok, type Result } from '../../model/result.js';
import { frozenBy } from '../../plan/freeze.js';
import { planChange } from '../../plan/release/plan_hash.js';
import type { World } from '../../plan/world.js';
import { etagOf } from '../../plan/release/describe.js';
import { keyTaken } from '../../plan/release/verbs.js';

/*
 * Between the store's records and what the controller makes of them.
 */

/** What would be changed must be what the client saw. */
export function checkPrecondition(
  { current }: ServiceReleases,
  { if_match: wanted }: ReleaseContext,
): Problem | null {
  const etag = current ? etagOf(current.record) : '0';
  if (wanted === null || wanted === '*' || wanted === etag) return null;
  const detail = `The release is at "${etag}" now, not at "${wanted}". Read it again and decide again.`;
  return { code: 'precondition_failed', field: 'If-Match', detail };
}

/** The release that this very request began before, or null; a key that came with another request is refused. */
export function begunBy(
  releases: ServiceReleases,
  key: string | null,
  request: string,
): Result<ReleaseRecord | null, Problem> {
  if (key === null) return ok(null);
  const all = [...releases.history, ...(releases.current ? [releases.current.record] : [])];
  const used = all.find((one) => one.verbs.some((verb) => verb.key === key));
  if (!used) return ok(null);
  const same = used.verbs.some((verb) => verb.key === key && verb.request === request);
  return same ? ok(used) : err(keyTaken());
}

/** Represents what a client asked for: of a long request a part that people can read, and the hash of all of it. */
export function requestOf(request: ReleaseRequest): string {
  const text = JSON.stringify(request);
  return text.length <= 1_000 ? text : `${text.slice(0, 900)} ${sha1(text)}`;
}

/** A release that has ended goes to the history by the same transaction. */
export function editOf(stored: StoredRelease, record: ReleaseRecord): ReleaseEdit {
  const { service, etag } = stored;
  if (hasEnded(record.state)) return { service, etag, current: null, archive: record };
  return { service, etag, current: record, archive: null };
}

/** Why a release that would be sound may not start now: frozen, or no more the plan that a person has looked at. */
export function refuseStart(
  { service, plan_hash }: ReleaseRequest,
  record: ReleaseRecord,
  world: World,
): Problem | null {
  const frozen = frozenBy(world, service);
  if (frozen.length > 0) return { code: 'guard_refused', detail: frozen.join('; '), blockers: frozen };
  const change = plan_hash === null ? null : planChange(plan_hash, record, world);
  return change === null ? null : { code: 'conflict', field: 'body.plan_hash', detail: change };
}
