import type { Freeze } from '../../model/freeze.js';
import type { FreezeStore, GlobalFreeze, StoredFreeze } from '../../model/freeze_ports.js';
import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource } from '../../model/mutation.js';
import { err, ok, type Result } from '../../model/result.js';
import { decideFreezeOfAll } from '../../plan/decide_freeze.js';
import { freezeText } from '../../plan/freeze.js';
import { officeRefusal, type MutationDesk } from './mutations.js';
import { decideAndWrite, type Try } from './write_loop.js';

const NAME = 'freeze';
/** No service is called like this, so it has a turn of its own. */
const TURN = '@freeze';
/** How long the news of somebody else's write are waited for. */
const NEWS_MS = 200;

/** The freeze of everything, as it was read last, and the one way to change it. */
export class FreezeOfAll {
  readonly #store: FreezeStore;
  #shown: ReadonlyMap<string, StoredFreeze> | null = null;

  constructor(store: FreezeStore) {
    this.#store = store;
  }

  async start(changed: () => void): Promise<void> {
    this.#store.onChange((shown) => {
      this.#shown = shown;
      changed();
    });
    await this.#store.start();
  }

  /** Null = nothing is frozen; `unknown` before it was read, and while what stands there cannot be read. */
  get present(): Freeze | null | 'unknown' {
    if (this.#shown === null || this.#store.damaged().size > 0) return 'unknown';
    return this.stored?.record.freeze ?? null;
  }

  get stored(): StoredFreeze | null {
    return this.#shown?.get(NAME) ?? null;
  }

  async mutate(
    desk: MutationDesk,
    mutation: Extract<Mutation, { kind: 'freeze_all' | 'unfreeze_all' }>,
    context: MutationContext,
  ): Promise<Result<MutationResource, Problem>> {
    const deps = { ...desk, clock: desk.deps.clock };
    const work = (): Promise<Result<MutationResource, Problem>> =>
      decideAndWrite(
        deps,
        () => this.#decideOnce(desk, mutation, context),
        () => desk.pause(NEWS_MS),
      );
    const outcome = context.dry_run ? await work() : await desk.queue.take(TURN, work);
    if (outcome.ok && !context.dry_run && outcome.value.changes.length > 0) {
      desk.deps.log.warn({ by: context.by, reason: context.reason }, mutation.kind);
      await desk.settled();
    }
    return outcome;
  }

  async #decideOnce(
    desk: MutationDesk,
    mutation: Extract<Mutation, { kind: 'freeze_all' | 'unfreeze_all' }>,
    context: MutationContext,
  ): Promise<Try<MutationResource>> {
    const refusal = officeRefusal(desk, context.dry_run) ?? this.#unreadable();
    if (refusal) return { kind: 'answered', answer: err(refusal) };
    const { intents, membership, witnesses, wall, due } = desk.world();
    const state = {
      intents,
      membership,
      witnesses,
      wall,
      ...(due === undefined ? {} : { due }),
      newId: '',
      drain_timeout_ms: 0,
    };
    const { stored } = this;
    const decided = decideFreezeOfAll(mutation, context, stored, state);
    if (!decided.ok) return { kind: 'answered', answer: decided };
    const after = decided.value;
    const term = desk.term();
    const changes = after ? changesOf(stored, after) : [];
    const outcome = { ...NOTHING, dry_run: context.dry_run, changes, published: !context.dry_run };
    if (after === null || context.dry_run || !term) return { kind: 'answered', answer: ok(outcome) };
    const written = await this.#store.write(term, stored?.etag ?? null, after);
    return written.ok
      ? { kind: 'answered', answer: ok(outcome) }
      : { kind: 'refused', term, failure: written.error };
  }

  #unreadable(): Problem | null {
    const damage = this.#store.damaged().get(NAME);
    if (damage === undefined && this.#shown !== null) return null;
    if (damage === undefined)
      return { code: 'not_ready', detail: 'The freeze has not been read yet. Try again in a moment.' };
    const detail = `The freeze of everything cannot be read from ZooKeeper (${damage}). Mend or delete that znode first.`;
    return { code: 'conflict', detail };
  }
}

const NOTHING = { guards: [], blockers: [], operation: null, etags: {} };

function changesOf(before: StoredFreeze | null, after: GlobalFreeze): MutationResource['changes'] {
  const [from, to] = [freezeText(before?.record.freeze), freezeText(after.freeze)];
  return [{ service: '*', instance: null, field: 'freeze', from, to }];
}
