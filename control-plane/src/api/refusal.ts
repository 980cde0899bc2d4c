import { PROBLEMS, type Problem } from '../model/problem.js';
import { spelled } from '../model/texts.js';

/** Carries a problem from a handler or a middleware to the one place that writes problems. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    readonly problem: Problem,
    /** Headers that belong to the answer, like `Allow`. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(problem.detail);
  }
}

/** A refusal of one input: `field` is where it was, like `body.weight` or `header.if-match`. */
export function invalid(field: string, detail: string): Refusal {
  return new Refusal({ code: 'invalid_request', field, detail });
}

/** A refusal because `what` does not exist. */
export function absent(what: string): Refusal {
  return new Refusal({ code: 'not_found', detail: what });
}

/** The body of an RFC 9457 answer, with Ebbgate's own members. */
export interface ProblemBody extends Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly instance: string;
  readonly request_id: string;
  readonly blockers: readonly string[];
  readonly guard?: NonNullable<Problem['guards']>[number];
}

/** Completes `problem` for a client. `path` is the request's path, without its query. */
export function problemBody(problem: Problem, path: string, requestId: string): ProblemBody {
  const { status, title } = PROBLEMS[problem.code];
  const first = problem.guards?.[0];
  return {
    type: `urn:ebbgate:problem:${problem.code}`,
    title,
    status,
    detail: spelled(problem.detail),
    instance: path,
    code: problem.code,
    request_id: requestId,
    ...(problem.field === undefined ? {} : { field: spelled(problem.field) }),
    blockers: problem.blockers ?? [],
    ...(first ? { guard: first, guards: problem.guards ?? [] } : {}),
  };
}
