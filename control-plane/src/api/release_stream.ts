import type { ControlPlane } from '../model/control_plane.js';
import type { Clock } from '../model/ports.js';
import { hasEnded } from '../model/release.js';
import type { Streaming } from './event_stream.js';

/** So often a release is looked at, at most: passes of the controller may come much faster. */
const LOOK_MS = 200;

/**
 * The events of a release after number `after`, oldest first, then each new one as it comes; and `state`, the release itself, at
 * first and at every change. Ends when the release has ended or is forgotten.
 */
export function streamRelease(
  plane: ControlPlane,
  clock: Pick<Clock, 'sleep'>,
  id: string,
  after: number,
): Streaming {
  return async (send, signal) => {
    let [sent, shown] = [after, ''];
    while (!signal.aborted) {
      // Both are of one moment, so the events that led to a state come before it.
      const [release, events] = [plane.releases.byId(id), plane.releases.events(id) ?? []];
      if (!release) return;
      // A number that was never given is of another release: everything is sent.
      if ((events.at(-1)?.n ?? 0) < sent) sent = 0;
      for (const event of events.filter(({ n }) => n > sent)) {
        await send({ type: 'event', id: String(event.n), data: event });
        sent = event.n;
      }
      // The times go on with every look, and change nothing.
      const text = JSON.stringify({ ...release, times: null });
      if (text !== shown) await send({ type: 'state', data: release });
      shown = text;
      if (hasEnded(release.state)) return;
      const changed = plane.changed(signal);
      await clock.sleep(LOOK_MS, signal);
      await changed;
    }
  };
}
