import type { ReleaseRecord, Upgrade } from '../../model/release.js';
import { goalOf, inPlaceOf } from './batch.js';

/** A call that a record asks for. The key and what is told are the same at every repeat. */
export interface WantedCall {
  /** `<release>/<step>/<attempt>` */
  readonly key: string;
  readonly upgrade: Exclude<Upgrade, { readonly person: true }>;
  readonly body: UpgradeBody;
}

/** What an upgrade is told. */
export interface UpgradeBody {
  readonly release: string;
  readonly service: string;
  readonly step: number;
  readonly attempt: number;
  readonly from: string;
  readonly to: string;
  readonly instances: readonly {
    readonly id: string;
    readonly host: string;
    readonly port: number;
    /** What it ran when it was taken into the batch. */
    readonly version: string;
  }[];
}

/** The key of the present batch and attempt. */
export function callKey({ id, step, attempt }: ReleaseRecord): string {
  return `${id}/${String(step)}/${String(attempt)}`;
}

/** The call that is to be made while `record` stands in ZooKeeper; null = none, or it has an outcome. */
export function wantedCall(record: ReleaseRecord): WantedCall | null {
  const found = inPlaceOf(record);
  const moving = record.state === 'progressing' || record.state === 'rolling_back';
  if (!found || !moving || record.phase !== 'upgrading' || found.progress.called !== null) return null;
  const { upgrade } = found.strategy;
  if ('person' in upgrade) return null;
  const { id: release, service, step, attempt, stable, target } = record;
  const to = goalOf(record);
  const from = to === target ? stable : target;
  // Everybody who was handed over with this call, also who came back meanwhile: a repeat says the same as the first call.
  const told = found.progress.batch.filter((one) => one.told);
  const instances = told.map(({ id, host, port, from: version }) => ({ id, host, port, version }));
  return { key: callKey(record), upgrade, body: { release, service, step, attempt, from, to, instances } };
}
