import type { ControlPlane } from '../model/control_plane.js';
import type { ReadinessResource } from '../model/readiness.js';
import type { LimitResource } from '../model/resources.js';
import { ok, type Result } from '../model/result.js';
import { describeLimits, limitNotes } from '../plan/describe_limits.js';
import { describeService } from '../plan/describe_service.js';
import { gatewaysThatCount } from '../plan/proof.js';
import { storeProblem } from './inputs/store_problems.js';
import { readinessOf, roleOf } from './readiness.js';
import { createConsumerPlane } from './consumers.js';
import { createReads } from './reads.js';
import type { Rooms } from './rooms.js';
import { createTokenPlane } from './tokens.js';

/** The controller as the API sees it: every call goes to the room that answers it. */
export function createPlane(rooms: Rooms): ControlPlane {
  const { deps, world, releases, inputs, passes, commands } = rooms;
  return {
    ...createReads(world, releases),
    readiness: () => readinessNow(rooms),
    role: () => roleOf(rooms.leadership, rooms.publication),
    viewAge: () => viewAge(rooms),
    caughtUp: async () => {
      await deps.truthView.caughtUp();
      rooms.following.hurry();
      await passes.settled();
    },
    hasView: () => inputs.seenWhole,
    controllers: async () => {
      const members = await deps.election.members();
      if (!members.ok) return members;
      return ok(members.value.map((one, at) => ({ ...one, role: at === 0 ? 'leader' : 'standby' }) as const));
    },
    limits: (service) => limitsOf(rooms, service),
    changed: (signal) => passes.changed(signal),
    auditPage: (query) => deps.audit.page(query),
    auditRecord: (n) => deps.audit.record(n),
    copy: (asked) => rooms.copies.document(asked),
    mutate: async (mutation, caller) => {
      const outcome = await commands.mutate(mutation, caller);
      if (!outcome.ok || !caller.dry_run || mutation.kind !== 'patch_spec') return outcome;
      const notes = mutation.spec.limits === undefined ? [] : await notesOf(rooms, mutation.service);
      return notes.length === 0 ? outcome : ok({ ...outcome.value, notes });
    },
    releases,
    consumers: createConsumerPlane({
      consumers: () => inputs.apiConsumers,
      wall: () => rooms.clock.wall(),
    }),
    tokens: createTokenPlane({ tokens: () => inputs.tokens, wall: () => rooms.clock.wall() }),
  };
}

/** Undefined = there is no such service. */
async function limitsOf(
  { world, deps }: Rooms,
  service: string,
): Promise<Result<readonly LimitResource[] | undefined, string>> {
  const now = world();
  const found = describeService(now, service);
  if (!found || found.spec.limits.length === 0) return ok(found && []);
  const read = await deps.traffic.read(gatewaysThatCount(now.witnesses));
  return read.ok ? ok(describeLimits(service, found.spec.limits, read.value)) : read;
}

/** What the limits of before refused of late, where that can be read. */
async function notesOf(rooms: Rooms, service: string): Promise<readonly string[]> {
  const limits = await limitsOf(rooms, service);
  return limits.ok ? limitNotes(limits.value ?? []) : [];
}

function readinessNow({
  deps,
  clock,
  leadership,
  publication,
  following,
  inputs,
  loss,
  desired,
  writability,
}: Rooms): ReadinessResource {
  const { problemSince } = desired;
  const age = problemSince === null ? null : clock.monotonic() - problemSince;
  return readinessOf({
    clock: clock.state(),
    leadership,
    publication,
    following,
    hasView: inputs.seenWhole,
    dataLoss: loss.reason,
    registryProblem: desired.problem ?? storeProblem(deps),
    registrySince: age === null ? null : Math.round(clock.wall() - age),
    zookeeper: deps.truthLink(),
    refusals: { zookeeper: writability.refusal('zookeeper'), redis: writability.refusal('redis') },
    publisher: deps.publisher.state(),
    feedback: deps.feedback.state(),
  });
}

/** Since the older of the two moments at which each store was heard. */
function viewAge({ deps, clock, leadership, publication, following }: Rooms): number | null {
  const truth = deps.truthView.heardAt();
  if (truth === null) return null;
  const published = leadership.state === 'standby' ? following.readAt : publication.verifiedAt;
  const age = clock.monotonic() - Math.min(truth, published);
  return Number.isFinite(age) ? Math.max(0, age) : null;
}
