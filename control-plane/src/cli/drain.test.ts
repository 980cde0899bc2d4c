import { describe, expect, it } from 'vitest';
import { ebbgate, listen, mutation, served, start, useApi } from '../testing/cli_rig.js';
import { ended, makeOperation } from '../testing/resources.js';

useApi();

/** Polls: the machine may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000 });

describe('verbs on instances', () => {
  it('drains instances with all circumstances', async () => {
    const { code, out } = await ebbgate(
      'drain -s shop a b --timeout 90s --on-timeout cut --reason kernel --expires 2h --force',
    );
    expect(code).toBe(0);
    expect(mutation()).toEqual({
      mutation: {
        kind: 'drain',
        selector: { service: 'shop', ids: ['a', 'b'] },
        timeout_ms: 90_000,
        on_timeout: 'cut',
      },
      context: {
        by: 'ann',
        services: '*',
        origin: { token: null, from: '127.0.0.1', request_id: expect.any(String) },
        reason: 'kernel',
        dry_run: false,
        force: true,
        if_match: null,
        idempotency_key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        expires_ms: 7_200_000,
      },
    });
    expect(out).toBe(
      'shop/a  state: before → drain\nshop/b  state: before → drain\noperation op-1\nnext: ebbgate wait operation op-1\n',
    );
  });

  it.each([
    ['drain --version v1', { version: 'v1' }],
    ['undrain -s shop --version v1', { service: 'shop', version: 'v1' }],
    ['isolate --host 10.0.1.7', { host: '10.0.1.7' }],
    ['restore --zone a', { zone: 'a' }],
  ])('%s selects', async (line, selector) => {
    expect((await ebbgate(line)).code).toBe(0);
    expect(mutation().mutation).toMatchObject({ kind: line.split(' ')[0], selector });
  });

  it('shows a dry run and says that it was one', async () => {
    const { code, out } = await ebbgate('drain -s shop a --dry-run');
    expect(code).toBe(0);
    expect(out).toBe('shop/a  state: before → drain\ndry run: nothing was written\n');
    expect(mutation().context.dry_run).toBe(true);
  });

  it('takes the actor from EBBGATE_ACTOR', async () => {
    await ebbgate('undrain -s shop a', { env: { EBBGATE_ACTOR: 'bot@ci' } });
    expect(mutation().context.by).toBe('bot@ci');
  });
});

describe('drain --wait', () => {
  const running = makeOperation({ targets: [['shop', 'a']] });

  it('adds a line per change and ends when the last request is gone', async () => {
    const { terminal, code } = start('drain -s shop a --wait');
    await until(terminal.stdout).toMatch(/in-flight gw-a=1 gw-b=0 {2}waits for: gw-a has 1 open request/);
    served.plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toBe(
      [
        'shop/a  state: before → drain',
        'operation op-1',
        'shop/a  draining  in-flight gw-a=1 gw-b=0  waits for: gw-a has 1 open request',
        'shop/a  drained  in-flight gw-a=0 gw-b=0',
        'drained: none of the 2 gateways (gw-a, gw-b) has an open request for it',
        '',
      ].join('\n'),
    );
  });

  it.each([
    [['gw-a'], [], 'drained: gateway gw-a does not have an open request for it\n'],
    [[], [], 'drained: no gateway is left that could have an open request for it\n'],
    [
      ['gw-a', 'gw-b'],
      [{ id: 'gw-c', at: '2026-11-21T00:00:00.000Z', how: 'left' as const }],
      'drained: none of the 2 gateways (gw-a, gw-b) has an open request for it\n' +
        'not asked: gw-c (left 2026-11-21T00:00:00.000Z); such a gateway may serve again when it starts\n',
    ],
  ])('names who was asked (%j) and who was not', async (asked, not_asked, said) => {
    const over = { ...ended(running, 'drained'), gateways: { asked, not_asked } };
    served.plane.operationMap.set('op-1', over);
    const { code, out } = await ebbgate('wait operation op-1');
    expect(code).toBe(0);
    expect(out.endsWith(said)).toBe(true);
  });

  it('redraws in place on a terminal', async () => {
    const { terminal, code } = start('drain -s shop a --wait', { tty: true });
    await until(terminal.stdout).toMatch(/waits for/);
    served.plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toContain('\u001b[3A\u001b[0Joperation op-1: drained\n  shop/a  drained');
  });

  it('prints nothing but the end for programs', async () => {
    const { terminal, code } = start('drain -s shop a --wait -o json');
    await until(() => served.plane.waiting).toBe(1);
    served.plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(JSON.parse(terminal.stdout())).toMatchObject({ id: 'op-1', result: 'drained' });
    expect(terminal.stderr()).toBe('');
  });

  it.each([
    ['unproven', 4],
    ['timed_out', 4],
    ['cut', 4],
    ['undrained', 4],
    ['cancelled', 6],
    ['superseded', 6],
  ] as const)('fails when it ends %s', async (result, exit) => {
    const { terminal, code } = start('drain -s shop a --wait --timeout 1s');
    await until(() => served.plane.waiting).toBe(1);
    served.plane.change((p) => p.operationMap.set('op-1', ended(running, result)));
    expect(await code).toBe(exit);
    expect(terminal.stderr()).toMatch(
      new RegExp(
        `ended ${result}, not drained\n {2}shop/a had 1 open requests\n {2}waited for: gw-a has 1 open request`,
      ),
    );
  });

  it('survives a restart of the API, and says so', async () => {
    const { port } = served.api.address();
    const { terminal, code } = start('drain -s shop a --wait --timeout 60s');
    await until(() => served.plane.waiting).toBe(1);
    await served.api.close();
    await expect
      .poll(terminal.stderr)
      .toMatch(/cannot be reached: ECONNREFUSED; trying again until the time-out\n/);
    served.plane.view = false;
    served.api = listen(port);
    await served.api.start();
    await until(() => served.plane.waiting).toBe(0);
    served.plane.view = true;
    await until(terminal.stderr).toMatch(/the control API is back\n/);
    served.plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stderr().match(/trying again/g)).toHaveLength(1);
  });

  it('leaves the drain going at Ctrl-C and says how to come back', async () => {
    const { terminal, code } = start('drain -s shop a --wait');
    await until(() => served.plane.waiting).toBe(1);
    terminal.interrupt();
    expect(await code).toBe(130);
    expect(terminal.stderr()).toContain('next: ebbgate wait operation op-1');
    await until(() => served.plane.waiting).toBe(0);
  });
});
