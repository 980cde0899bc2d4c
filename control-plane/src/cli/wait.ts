import type { Command } from 'commander';
import { createClient } from './client.js';
import { apiCommand, durationOption, milliseconds, type CommonFlags } from './flags.js';
import { followConvergence, followDrained, followGateway, type FollowOptions } from './follow.js';
import { print } from './output.js';
import { waitOperation } from './outcome.js';
import type { Terminal } from './terminal.js';

interface WaitFlags extends CommonFlags {
  readonly timeout: string;
  readonly service: string;
}

/** `ebbgate wait operation|convergence|drained|gateway`. */
export function addWaitCommand(program: Command, terminal: Terminal): void {
  const wait = program.command('wait').description('wait for something; exit 4 when time runs out');
  waitFor(wait, 'operation <OPERATION>', 'until an operation is done').action(
    async (id: string, flags: WaitFlags) => {
      await waitOperation(terminal, createClient(flags, terminal), flags, id, 0);
    },
  );
  waitFor(wait, 'convergence <SVC>', 'until every gateway follows the published set of a service').action(
    async (service: string, flags: WaitFlags) => {
      const state = await followConvergence(options(terminal, flags, `convergence ${service}`), service);
      print(terminal, flags.output, state, () => [
        `${service}: ${String(state.gateways.length)} gateways follow ${String(state.target.epoch)}:${String(state.target.generation)}`,
      ]);
    },
  );
  waitFor(wait, 'drained <INSTANCE>', 'until no gateway has an open request for an instance')
    .requiredOption('-s, --service <SVC>', 'its service')
    .action(async (id: string, flags: WaitFlags) => {
      const { service } = flags;
      const instance = await followDrained(
        options(terminal, flags, `drained -s ${service} ${id}`),
        service,
        id,
      );
      print(terminal, flags.output, instance, () => [`${service}/${id}: drained`]);
    });
  waitFor(wait, 'gateway <GATEWAY>', 'until a gateway is heard and follows everything that is published')
    .option(
      '--not-boot <BOOT>',
      'and that is another start of it than this one (get gateways -o wide shows it)',
    )
    .action(async (id: string, flags: WaitFlags & { readonly notBoot?: string }) => {
      const gateway = await followGateway(
        options(terminal, flags, `gateway ${id}`),
        id,
        flags.notBoot ?? null,
      );
      print(terminal, flags.output, gateway, () => [`gateway ${id} is heard and follows everything`]);
    });
}

function waitFor(wait: Command, nameAndArgs: string, description: string): Command {
  return apiCommand(wait, nameAndArgs, description).addOption(
    durationOption('--timeout <DURATION>', 'how long to wait at most').default('5m'),
  );
}

function options(terminal: Terminal, flags: WaitFlags, what: string): FollowOptions {
  return {
    client: createClient(flags, terminal),
    terminal,
    note: (text) => {
      terminal.err(`${text}\n`);
    },
    timeoutMs: milliseconds(flags.timeout),
    resume: `ebbgate wait ${what}`,
  };
}
