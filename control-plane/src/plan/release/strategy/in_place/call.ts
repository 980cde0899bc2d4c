import type { ReleaseRecord } from '../../../../model/release.js';
import { callKey, type WantedCall } from '../../call.js';
import { goalOf, inPlaceIn } from './batch.js';

/** The call of the present batch and attempt; null = none, or it has an outcome. */
export function wantedCall(record: ReleaseRecord): WantedCall | null {
  const { upgrade, progress } = inPlaceIn(record);
  const moving = record.state === 'progressing' || record.state === 'rolling_back';
  if (!moving || record.phase !== 'upgrading' || progress.called !== null || 'person' in upgrade) return null;
  const { id: release, service, step, attempt, stable, target } = record;
  const to = goalOf(record);
  const from = to === target ? stable : target;
  // Everybody who was handed over with this call, also who came back meanwhile: a repeat says the same as the first call.
  const named = progress.batch.filter((one) => one.named);
  const instances = named.map(({ id, host, port, from: version }) => ({ id, host, port, version }));
  return { key: callKey(record), upgrade, body: { release, service, step, attempt, from, to, instances } };
}
