import type { Term } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { Leadership, Refusal } from './leadership.js';

/** What a controller answers that does not lead. */
export const NOT_LEADER: Problem = {
  code: 'not_leader',
  detail: 'Another controller leads. Send this to that one.',
};

export interface AuthorityDeps {
  readonly leadership: Pick<Leadership, 'state' | 'term' | 'mayWrite' | 'refused'>;
  /** Why nothing may be written until a person has decided, or null. */
  readonly loss: { readonly reason: string | null };
  /** The registry and every store were read completely. */
  readonly inputs: { readonly seenWhole: boolean };
}

/** Whether this controller may decide and write now: the one answer for every command, and for what a pass writes by itself. */
export class Authority {
  readonly #deps: AuthorityDeps;

  constructor(deps: AuthorityDeps) {
    this.#deps = deps;
  }

  /** The term to write under; null while nothing may be written. */
  get term(): Term | null {
    const { leadership, loss } = this.#deps;
    return leadership.mayWrite && loss.reason === null ? leadership.term : null;
  }

  /** Why no command is taken now, or null. A dry run needs no term. */
  refusal(dryRun: boolean): Problem | null {
    const { loss, inputs, leadership } = this.#deps;
    const { notLeader } = this;
    if (notLeader !== null) return notLeader;
    const { reason } = loss;
    if (reason !== null) return { code: 'not_ready', detail: reason };
    if (!inputs.seenWhole) return NOT_READ;
    if (dryRun) return null;
    if (leadership.state === 'candidate') return NO_TERM;
    return leadership.mayWrite ? null : UNSURE;
  }

  /** The problem that another controller leads, or null. */
  get notLeader(): Problem | null {
    return this.#deps.leadership.state === 'standby' ? NOT_LEADER : null;
  }

  /** What it means that a write under `term` was refused as fenced; see `Leadership.refused`. */
  refused(term: Term): Promise<Refusal> {
    return this.#deps.leadership.refused(term);
  }
}

const NOT_READ: Problem = {
  code: 'not_ready',
  detail: 'The registry has not been read completely yet. See /readyz, and try again.',
};
const UNSURE: Problem = {
  code: 'store_unavailable',
  detail: 'ZooKeeper does not say which controller leads. Nothing was changed. Try again.',
};
/** Whoever waits for a leader waits for this one. */
const NO_TERM: Problem = {
  code: 'no_leader',
  detail: 'This controller does not lead yet. Nothing was changed. See /readyz, and try again.',
};
