/*
 * Why instances whose registrations vanished stay in use, and until when. The kinds, strongest first:
 *
 *   data_loss  ZooKeeper has lost data: nothing is published at all; only a person ends it
 *   unread     nodes of the service cannot be read, and may be theirs
 *   last       no other instance takes requests: a set becomes empty only by a person's word, or because its instances left
 *   person     a person says that they live
 *   suspect    they vanished together with too many others
 *   settle     ZooKeeper was silent before they vanished
 */
export const HOLD_KINDS = ['data_loss', 'unread', 'last', 'person', 'suspect', 'settle'] as const;

export type HoldKind = (typeof HOLD_KINDS)[number];

/** A hold of one service that is in force. Times are RFC 3339. */
export interface StandingHold {
  readonly kind: HoldKind;
  /** Who is kept by it, sorted; a person's hold may keep nobody yet. */
  readonly instances: readonly string[];
  readonly since: string;
  /** Null: it ends when somebody speaks: a registration, or a person. */
  readonly until: string | null;
  /** The person whose hold it is, and why; null = nobody's. */
  readonly by: string | null;
  readonly reason: string | null;
}

/** The same, as the API shows it. */
export interface HoldResource extends StandingHold {
  /** What is kept, why, until when, and the next command, for a person. */
  readonly message: string;
}
