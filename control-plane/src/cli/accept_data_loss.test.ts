import { describe, expect, it } from 'vitest';
import { ebbgate, mutation, served, useApi } from '../testing/cli_rig.js';

useApi();

describe('accept-data-loss', () => {
  const line = 'accept-data-loss --reason burnt';

  it('shows what would go, and does nothing without --yes', async () => {
    const shown = await ebbgate(line);
    expect(shown).toMatchObject({
      code: 2,
      err: expect.stringMatching(/nothing was done: this needs --yes/) as string,
    });
    expect(shown.out).toContain('dry run: nothing was written');
    expect(mutation()).toMatchObject({
      mutation: { kind: 'accept_data_loss', keep_intents: false },
      context: { dry_run: true, reason: 'burnt' },
    });
  });

  it('does it with --yes, and never with --dry-run', async () => {
    expect(await ebbgate(`${line} --keep-intents --yes`)).toMatchObject({ code: 0, err: '' });
    expect(await ebbgate(`${line} --yes --dry-run`)).toMatchObject({ code: 0, err: '' });
    expect(served.plane.mutated.map(({ mutation, context }) => [mutation, context.dry_run])).toEqual([
      [{ kind: 'accept_data_loss', keep_intents: true }, false],
      [{ kind: 'accept_data_loss', keep_intents: false }, true],
    ]);
  });

  it('needs a reason, and ends with 6 when nothing is lost', async () => {
    expect(await ebbgate('accept-data-loss --yes')).toMatchObject({ code: 2 });
    served.plane.refusal = { code: 'no_data_loss', detail: 'nothing is lost' };
    expect(await ebbgate(`${line} --yes`)).toMatchObject({ code: 6 });
  });
});
