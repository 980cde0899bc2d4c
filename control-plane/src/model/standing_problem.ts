/**
 * Every kind of problem that is shown until it is gone, with its severity: an `error` keeps something from working as it
 * was registered or decided, a `note` is worth knowing and asks for nothing. Kinds are stable; sentences may improve.
 */
export const PROBLEM_KINDS = {
  bad_json: 'error',
  bad_field: 'error',
  forbidden_host: 'error',
  duplicate_id: 'error',
  bad_service_name: 'error',
  too_large: 'error',
  unreadable_node: 'error',
  nested_node: 'error',
  misplaced_node: 'error',
  persistent_node: 'note',
  unreadable_store: 'error',
  unwritable_consumers: 'note',
  unusable_credentials: 'error',
  unusable_certificate: 'error',
  wrong_permissions: 'error',
  route_taken: 'error',
  no_instance: 'error',
  all_vanished: 'error',
  fell_back: 'error',
  unhealthy: 'error',
  panic: 'error',
  breaker_open: 'error',
  damaged_intent: 'error',
  damaged_release: 'error',
  damaged_freeze: 'error',
  damaged_roster_entry: 'error',
  damaged_history: 'error',
  old_contract: 'note',
  unknown_contract: 'error',
  duplicate_controller: 'error',
  damaged_token: 'error',
  damaged_consumer: 'error',
  clock: 'error',
} as const satisfies Readonly<Record<string, ProblemSeverity>>;

export type ProblemSeverity = 'error' | 'note';
export type ProblemKind = keyof typeof PROBLEM_KINDS;

export function severityOf(code: ProblemKind): ProblemSeverity {
  return PROBLEM_KINDS[code];
}

/** Something that is wrong now. Two are the same if all but the message is equal. */
export interface StandingProblem {
  readonly code: ProblemKind;
  /** Null: of no service, or of one whose name is not taken. */
  readonly service: string | null;
  readonly instance?: string;
  /** The znode that it is about. */
  readonly path?: string;
  /** The member of the node's data, or whatever else distinguishes two of one kind. */
  readonly field?: string;
  /** What is wrong and how to correct it, one sentence. */
  readonly message: string;
}

/** Equal for the same problem at two moments. */
export function problemKey({ code, service, instance, path, field }: StandingProblem): string {
  return JSON.stringify([code, service, instance, path, field]);
}
