/** What an instance says of itself in its provider node, after validation. */
export interface Registration {
  readonly service: string;
  /** Explicit `id`, else `host:port`; never the znode's name. */
  readonly id: string;
  /** IP literal inside the allowed networks. */
  readonly host: string;
  readonly port: number;
  /** Empty when the instance names none. */
  readonly version: string;
  /** 0 … 10000, default 100. */
  readonly weight: number;
  readonly zone: string;
  /** True: used only while no other instance of the service may be. */
  readonly backup: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** False while the instance says that it is not ready; it is listed, with no traffic. */
  readonly ready: boolean;
  /** True once its registrar wants to stop: the plan drains it. */
  readonly leaving: boolean;
  /** True if no session owns its node: nothing removes it when its process dies. */
  readonly persistent: boolean;
  /** Where it was read from, for messages. */
  readonly path: string;
  /** Which life of that node it is, opaque: another one after it was deleted and created again. The greater string is the younger. */
  readonly incarnation: string;
}

/** Something about a node of the registry: why it was left out, or what is worth knowing of it. */
export interface RegistryProblem {
  /** As the node says; null: of no service. */
  readonly service: string | null;
  readonly path: string;
  readonly code:
    | 'bad_json'
    | 'bad_field'
    | 'forbidden_host'
    | 'duplicate_id'
    | 'bad_service_name'
    | 'too_large'
    | 'unreadable_node'
    | 'nested_node'
    | 'misplaced_node';
  readonly field: string;
  readonly message: string;
}

/** A node of a registry root that could not be read. */
export interface UnreadNode {
  readonly path: string;
  /** Null: the root itself, or something that contains services. */
  readonly service: string | null;
  readonly reason: string;
}

/**
 * One complete reading of every registry root. Never partial: a source that could not read all emits `unknown`
 * instead, and whoever has the last view keeps it.
 */
export interface RegistryView {
  /**
   * Service → its registrations by id, both sorted by code unit; no service without one. Where nothing of a service changed,
   * its map is the same object as in the view before.
   */
  readonly instances: ReadonlyMap<string, ReadonlyMap<string, Registration>>;
  readonly problems: readonly RegistryProblem[];
  /** What is there and could not be read: unknown, not empty. `instances` has what was known of it last. */
  readonly unread: readonly UnreadNode[];
  /** Names of the services whose node exists, with or without providers. */
  readonly services: readonly string[];
}

/** All registrations of a view. */
export function registrationsIn({ instances }: RegistryView): readonly Registration[] {
  return [...instances.values()].flatMap((service) => [...service.values()]);
}

export type RegistryState =
  /** `gap`: answers were missing before this view (a new connection, a thaw), so removals in it must settle. */
  | { readonly status: 'complete'; readonly view: RegistryView; readonly gap: boolean }
  /** Cannot be read now. Says nothing about the instances. */
  | { readonly status: 'unknown'; readonly reason: string }
  /** The root is gone or was created again: not "no services". */
  | { readonly status: 'data_loss'; readonly reason: string };
