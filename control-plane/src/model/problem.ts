/** Every code an API client may meet, with its HTTP status and title. Codes are stable; titles may improve. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A bearer token or a client certificate is needed' },
  forbidden: { status: 403, title: 'This token may not do that' },
  not_found: { status: 404, title: 'The object does not exist' },
  method_not_allowed: { status: 405, title: 'This path does not take that method' },
  conflict: { status: 409, title: 'The change contradicts the present state' },
  guard_refused: { status: 409, title: 'A guard refused' },
  route_taken: { status: 409, title: 'Another service has this route' },
  idempotency_conflict: { status: 409, title: 'This Idempotency-Key was used for another request' },
  no_data_loss: { status: 409, title: 'There is no data loss to accept' },
  precondition_failed: { status: 412, title: 'The object has changed since you read it' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  precondition_required: { status: 428, title: 'If-Match is needed' },
  too_many_failures: { status: 429, title: 'Too many wrong tokens came from this address' },
  internal: { status: 500, title: 'Ebbgate failed' },
  not_leader: { status: 503, title: 'Another controller is the leader' },
  no_leader: { status: 503, title: 'No controller leads, or it cannot be reached' },
  store_unavailable: { status: 503, title: 'ZooKeeper cannot be written' },
  not_ready: { status: 503, title: 'No complete view of the registry yet' },
  too_many_streams: { status: 503, title: 'Too many event streams are open' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** A guard's verdict on a mutation. */
export interface GuardVerdict {
  readonly guard: 'min_available' | 'last_ready_instance';
  readonly service: string;
  /** What would be left, and what is needed. */
  readonly would_leave: number;
  readonly needed: number;
  readonly message: string;
}

/** An expected failure on its way to a client (RFC 9457 members are added by the API). */
export interface Problem {
  readonly code: ProblemCode;
  /** What is wrong and how to correct it, for a person. */
  readonly detail: string;
  /** The input it is about, like `body.weight`. */
  readonly field?: string;
  readonly blockers?: readonly string[];
  readonly guards?: readonly GuardVerdict[];
}
