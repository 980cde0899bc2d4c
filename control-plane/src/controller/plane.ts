import type { ControlPlane } from '../model/control_plane.js';
import type { ReadinessResource } from '../model/readiness.js';
import { ok } from '../model/result.js';
import { storeProblem } from './inputs/store_problems.js';
import { readinessOf } from './readiness.js';
import { createReads } from './reads.js';
import type { Rooms } from './rooms.js';

/** The controller as the API sees it: every call goes to the room that answers it. */
export function createPlane(rooms: Rooms): ControlPlane {
  const { deps, world, releases, inputs, passes, commands } = rooms;
  return {
    ...createReads(world, releases),
    readiness: () => readinessNow(rooms),
    hasView: () => inputs.seenWhole,
    controllers: async () => {
      const members = await deps.election.members();
      if (!members.ok) return members;
      return ok(members.value.map((one, at) => ({ ...one, role: at === 0 ? 'leader' : 'standby' }) as const));
    },
    changed: (signal) => passes.changed(signal),
    mutate: (mutation, caller) => commands.mutate(mutation, caller),
    releases,
  };
}

function readinessNow({
  deps,
  clock,
  leadership,
  publication,
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
