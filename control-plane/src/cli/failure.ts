import type { ProblemCode } from '../model/problem.js';
import { safe } from './terminal.js';

/** What the exit codes of every command mean. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  /** A release was rolled back, or failed. */
  wentBack: 3,
  /** Time ran out, or nothing could be proven. */
  unproven: 4,
  guard: 5,
  conflict: 6,
  unavailable: 7,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** Ends a command: the first line goes to stderr behind `ebbgate: `, the others indented below it. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  constructor(
    readonly exit: number,
    message: string,
    readonly lines: readonly string[] = [],
  ) {
    super(message);
  }
}

/** The members of a problem that a person is shown. */
export interface ShownProblem {
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
  readonly request_id?: string;
  readonly blockers?: readonly string[];
  readonly guards?: readonly {
    readonly guard: string;
    readonly service: string;
    readonly would_leave: number;
    readonly needed: number;
    readonly message: string;
  }[];
}

/** The API understood and refused. */
export class Refused extends CliFailure {
  constructor(readonly problem: ShownProblem) {
    super(exitOf(problem.code), `${problem.code}: ${safe(problem.detail)}`, linesOf(problem));
  }
}

/** Nobody answers, or nobody who could do it now. */
export class Away extends CliFailure {
  constructor(
    readonly reason: string,
    lines: readonly string[],
  ) {
    super(EXIT.unavailable, `unavailable: ${safe(reason)}`, lines);
  }
}

const EXITS: Readonly<Partial<Record<ProblemCode, number>>> = {
  invalid_request: EXIT.usage,
  guard_refused: EXIT.guard,
  conflict: EXIT.conflict,
  route_taken: EXIT.conflict,
  idempotency_conflict: EXIT.conflict,
  no_data_loss: EXIT.conflict,
  precondition_failed: EXIT.conflict,
  precondition_required: EXIT.conflict,
  not_leader: EXIT.unavailable,
  no_leader: EXIT.unavailable,
  store_unavailable: EXIT.unavailable,
  not_ready: EXIT.unavailable,
  too_many_streams: EXIT.unavailable,
};

/** The next command or step, one for each code: what corrects this kind and no other. */
export const NEXT: Readonly<Record<ProblemCode, string>> = {
  invalid_request: 'correct what is named; --help shows what the command takes',
  unauthorized:
    'give the token by --token-file or EBBGATE_TOKEN, or a client certificate by EBBGATE_API_CERT and EBBGATE_API_KEY',
  forbidden:
    'ebbgate whoami shows what your token may do; an admin makes another: ebbgate token create --help',
  not_found: 'ebbgate get services|instances|gateways|operations and ebbgate release get show what there is',
  method_not_allowed: 'this ebbgate and the controller are of different releases: use the same for both',
  conflict: 'look with ebbgate get intents and ebbgate release get, then decide again',
  guard_refused: 'add instances first, or overrule the guard with --force --reason "…"',
  route_taken: 'take the route from the other service with ebbgate route … --remove first',
  idempotency_conflict: 'run the command again: every run has a key of its own',
  no_data_loss: 'nothing has to be accepted; GET /v1/protection shows what is suspended',
  precondition_failed: 'somebody else changed it meanwhile: look again, then repeat the command',
  too_large: 'name fewer things at once, or a smaller file',
  unsupported_media_type:
    'is there something between that changes requests? Ask the controller directly by --api',
  precondition_required: 'read the object first, and send the ETag that came with it',
  too_many_failures: 'wait a moment, then give the right token by --token-file or EBBGATE_TOKEN',
  internal: "look in the controller's log for the request id",
  not_leader: 'another controller is the leader: send the command to that one by --api',
  no_leader: 'try again in a moment; ebbgate get controllers shows who leads',
  store_unavailable: 'try again when ZooKeeper answers; ebbgate get services shows whether it was done',
  not_ready: 'try again in a moment; GET /readyz says what is missing',
  too_many_streams: 'end an ebbgate … --watch or release watch that is not needed, then try again',
};

/** Where what does not exist would be listed, by the words of the API. */
const NEXT_OF_ABSENT: readonly (readonly [RegExp, string])[] = [
  [/has no (such )?instance/i, 'ebbgate get instances SVC shows those that there are'],
  [/no gateway/i, 'ebbgate get gateways shows those that there are'],
  [/no operation/i, 'ebbgate get operations shows those that are remembered'],
  [/no token/i, 'ebbgate token list shows those that there are'],
  [/no release/i, 'ebbgate release get shows those that run, with SVC all that are remembered'],
  [/no service/i, 'ebbgate get services shows those that there are'],
  [/no path/i, 'this ebbgate and the controller are of different releases: use the same for both'],
];

/** The exit code for a problem. */
export function exitOf(code: string): number {
  return EXITS[code as ProblemCode] ?? EXIT.error;
}

/** A release is blocked by more than a lack of instances. */
const NEXT_OF_RELEASE =
  'remove what blocks it (a freeze: ebbgate unfreeze), or overrule a guard with --force --reason "…"';

function nextOf({ code, detail }: ShownProblem): string | undefined {
  const absent = code === 'not_found' ? NEXT_OF_ABSENT.find(([words]) => words.test(detail)) : undefined;
  return absent?.[1] ?? (Object.hasOwn(NEXT, code) ? NEXT[code as ProblemCode] : undefined);
}

function linesOf(problem: ShownProblem): string[] {
  const ofRelease = problem.code === 'guard_refused' && (problem.guards ?? []).length === 0;
  const next = ofRelease ? NEXT_OF_RELEASE : nextOf(problem);
  return [
    ...(problem.field === undefined ? [] : [`field: ${problem.field}`]),
    ...(problem.guards ?? []).map(
      (g) =>
        `guard ${g.guard} of ${g.service}: would leave ${String(g.would_leave)}, needs ${String(g.needed)}`,
    ),
    ...(problem.blockers ?? []).map((blocker) => `blocked by: ${blocker}`),
    ...(next === undefined ? [] : [`next: ${next}`]),
    ...(problem.request_id === undefined ? [] : [`request id: ${problem.request_id}`]),
  ].map(safe);
}
