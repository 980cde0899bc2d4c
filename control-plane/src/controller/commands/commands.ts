import type { Problem } from '../../model/problem.js';
import type { Mutation, MutationContext, MutationResource } from '../../model/mutation.js';
import { err, type Result } from '../../model/result.js';
import type { DataLoss } from '../office/data_loss.js';
import type { CommandContext } from './context.js';
import { forgetGateways } from './forget_gateways.js';
import { mutateFreeze } from './freeze.js';
import { joinGateway, takeGatewayOut } from './gateways.js';
import { record } from './perform.js';
import { mutateServices } from './services.js';

/** The door of every mutation. Releases come by `perform` too, with the same context. */
export class Commands {
  readonly #context: CommandContext;
  readonly #loss: Pick<DataLoss, 'accept'>;

  constructor(context: CommandContext, loss: Pick<DataLoss, 'accept'>) {
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
    return this.#loss.accept(mutation, caller, () => {
      record(this.#context, caller, mutation.kind, { keep_intents: mutation.keep_intents });
    });
  }
}
