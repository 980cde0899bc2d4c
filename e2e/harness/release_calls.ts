import { expect } from 'vitest';
import {
  hasEnded,
  type ReleaseEvent,
  type ReleaseOutcome,
  type ReleaseResource,
  type ReleaseState,
} from '../../control-plane/src/testkit.js';
import type { ControlledPlatform } from './controlled_platform.js';
import { untilValue } from './until.js';

const LONG = { timeoutMs: 60_000 };

/** What a test asks of releases. `platform` is asked for at every call: it starts after the test file is read. */
export interface ReleaseCalls {
  /** Starts one, which must be taken, and gives its id. */
  readonly start: (service: string, body: object) => Promise<string>;
  readonly read: (id: string) => Promise<ReleaseResource>;
  /** The first state that is seen in which `what` is true; a minute at most. */
  readonly reached: (id: string, what: (release: ReleaseResource) => boolean) => Promise<ReleaseResource>;
  /** Its end, which must be `state`. */
  readonly ended: (id: string, state: ReleaseState) => Promise<ReleaseResource>;
  readonly events: (id: string) => Promise<readonly ReleaseEvent[]>;
}

/** The calls over the API of `platform`. */
export function releaseCalls(platform: () => ControlledPlatform): ReleaseCalls {
  const calls: ReleaseCalls = {
    async start(service, body) {
      const path = `/v1/services/${service}/releases`;
      const answer = await platform().call<ReleaseOutcome>('POST', path, body);
      expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 202, body: { changed: true } });
      return answer.body.release.id;
    },
    async read(id) {
      const answer = await platform().call<ReleaseResource>('GET', `/v1/releases/${id}`);
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
      return answer.body;
    },
    reached: (id, what) => untilValue(`release ${id}`, () => calls.read(id), what, LONG),
    async ended(id, state) {
      const release = await calls.reached(id, (now) => hasEnded(now.state));
      expect(release, JSON.stringify(release)).toMatchObject({ state });
      return release;
    },
    async events(id) {
      const path = `/v1/releases/${id}/events`;
      return (await platform().call<{ readonly items: readonly ReleaseEvent[] }>('GET', path)).body.items;
    },
  };
  return calls;
}
