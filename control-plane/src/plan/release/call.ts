import type { ReleaseRecord } from '../../model/release.js';
import type { Upgrade } from '../../model/release_strategy.js';

/** A call that a record asks for. Its key and body are the same at every repeat. */
export interface WantedCall {
  /** `<release>/<step>/<attempt>` */
  readonly key: string;
  readonly upgrade: Exclude<Upgrade, { readonly person: true }>;
  readonly body: UpgradeBody;
}

/** What the call of an upgrade says. */
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
    /** What it ran when the batch took it. */
    readonly version: string;
  }[];
}

/** The key of the present batch and attempt. */
export function callKey({ id, step, attempt }: ReleaseRecord): string {
  return `${id}/${String(step)}/${String(attempt)}`;
}
