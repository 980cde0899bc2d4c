import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource } from '../../model/mutation.js';
import { objectOf } from '../../model/mutation_object.js';
import { err, ok, type Result } from '../../model/result.js';
import type { Restoration } from '../copies/restoration.js';
import type { DataLoss } from '../office/data_loss.js';
import type { CommandContext } from './context.js';
import { mutateConsumers } from './consumers.js';
import { entryOf, noUndo } from './entry.js';
import { forgetGateways } from './forget_gateways.js';
import { mutateFreeze } from './freeze.js';
import { joinGateway, takeGatewayOut } from './gateways.js';
import { resolveUndo } from './undo.js';
import { mutateServices } from './services.js';
import { mutateTokens } from './tokens.js';

/** The door of every mutation. Releases come by `perform` too, with the same context. */
export class Commands {
  readonly #context: CommandContext;
  readonly #loss: Pick<DataLoss, 'accept'>;
  readonly #restoration: Restoration;

  constructor(context: CommandContext, loss: Pick<DataLoss, 'accept'>, restoration: Restoration) {
    this.#restoration = restoration;
    this.#context = context;
    this.#loss = loss;
  }

  async mutate(mutation: Mutation, caller: MutationContext): Promise<Result<MutationResource, Problem>> {
    switch (mutation.kind) {
      case 'forget_gateway':
      case 'leave_gateway':
        return takeGatewayOut(this.#context, mutation, caller);
      case 'join_gateway':
        return joinGateway(this.#context, mutation, caller);
      case 'forget_gateways':
        return forgetGateways(this.#context, mutation, caller);
      case 'freeze_all':
      case 'unfreeze_all':
        return mutateFreeze(this.#context, mutation, caller);
      case 'undo':
        return this.#undo(mutation, caller);
      case 'restore_copy':
        return this.#restoration.restore(mutation, caller);
      case 'create_token':
      case 'revoke_token':
        return mutateTokens(this.#context, mutation, caller);
      case 'create_consumer':
      case 'change_consumer':
      case 'delete_consumer':
      case 'add_key':
      case 'revoke_key':
        return mutateConsumers(this.#context, mutation, caller);
      case 'accept_data_loss':
        return this.#acceptDataLoss(mutation, caller);
      default:
        return mutateServices(this.#context, mutation, caller);
    }
  }

  /** Needs no term and no complete view: it is the way back to both. */
  async #acceptDataLoss(
    mutation: Extract<Mutation, { kind: 'accept_data_loss' }>,
    caller: MutationContext,
  ): Promise<Result<MutationResource, Problem>> {
    const { notLeader } = this.#context.authority;
    if (notLeader !== null) return err(notLeader);
    const object = objectOf(mutation);
    return this.#loss.accept(mutation, caller, (changes) => {
      this.#restoration.keepPrevious();
      const wall = this.#context.clock.wall();
      return entryOf(caller, mutation.kind, { object, services: [], changes, undo: FINAL }, wall);
    });
  }

  /** What is written depends on what the record changed; it is decided, guarded and recorded as every other change is. */
  async #undo(
    mutation: Extract<Mutation, { kind: 'undo' }>,
    caller: MutationContext,
  ): Promise<Result<MutationResource, Problem>> {
    const refusal = this.#context.authority.refusal(caller.dry_run);
    if (refusal) return err(refusal);
    const record = await resolveUndo(this.#context, mutation, caller);
    if (!record.ok) return record;
    const undo = { kind: 'undo', record: record.value.n } as const;
    const change = record.value.undo.kind === 'freeze_all' ? mutateFreeze : mutateServices;
    const done = await change(this.#context, undo, caller, record.value);
    if (!done.ok) return done;
    const { n, at, by, verb, object } = record.value;
    return ok({ ...done.value, undoes: { n, at, by, verb, object } });
  }
}

const FINAL = noUndo('what was lost is not known any more; a copy of ZooKeeper is restored by hand');
