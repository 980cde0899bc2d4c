import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommandCall, HookCall, Hooks } from '../model/hooks.js';
import type { Lifecycle } from '../model/ports.js';
import type { OutsideAnswer } from './memory/hooks.js';
import { until } from './until.js';

/** What hooks reach, and what it heard. */
export interface Reached extends Pick<Lifecycle, 'close'> {
  /** Another controller's each time. */
  hooks(): Hooks;
  /** A URL that may be called, and one that may not. */
  readonly url: string;
  readonly forbidden: string;
  /** What is posted to `url`, or asked of it, from now on is answered so. */
  answer(how: OutsideAnswer): void;
  /** A command that may be run, and does so. */
  offer(command: string, how: OutsideAnswer): void;
  /** What arrived at `url`, and the input of the commands that ran, oldest first. */
  heard(): readonly { readonly key: string | null; readonly input: unknown }[];
}

const refused = { ok: false, error: { kind: 'refused', reason: expect.stringMatching(/./) as string } };
const unanswered = { ok: false, error: { kind: 'unanswered', reason: expect.stringMatching(/./) as string } };

/** What everything that calls hooks promises. */
export function hooksContract(name: string, make: () => Promise<Reached>): void {
  describe(`${name} calls hooks`, () => {
    let reached: Reached;
    let hooks: Hooks;

    beforeEach(async () => {
      reached = await make();
      hooks = reached.hooks();
      await hooks.start();
    });
    afterEach(async () => {
      await hooks.close();
      await reached.close();
    });
    const call = (more: Partial<HookCall> = {}): HookCall => ({
      ...{ url: reached.url, key: 'k/1', body: { a: [1, 'x'] }, timeout_ms: 20_000 },
      ...more,
    });
    const run = (command: string, more: Partial<CommandCall> = {}) =>
      hooks.run({ ...{ command, key: 'k/1', env: {}, input: '', timeout_ms: 20_000 }, ...more });
    const answers = (status: number, text = '') => {
      reached.answer({ status, text });
    };

    test('a POST arrives once, with its key and its JSON; a repeat carries the same', async () => {
      answers(200, '{"verdict":"continue"}');
      expect(await hooks.post(call())).toEqual({ ok: true, value: { verdict: 'continue' } });
      expect(reached.heard()).toEqual([{ key: 'k/1', input: { a: [1, 'x'] } }]);
      await hooks.post(call());
      expect(reached.heard()[1]).toEqual(reached.heard()[0]);
    });

    test('a GET has no key', async () => {
      answers(200, '[1]');
      expect(await hooks.get(reached.url, 20_000)).toEqual({ ok: true, value: [1] });
      expect(reached.heard()).toEqual([{ key: null, input: null }]);
    });

    test.each([
      [200, 'OK', 'OK'],
      [200, '', null],
      [204, '', null],
    ])('%d "%s" is taken', async (status, text, value) => {
      answers(status, text);
      expect(await hooks.post(call())).toEqual({ ok: true, value });
    });

    test.each([400, 401, 404, 410, 422])('%d is a refusal for good', async (status) => {
      answers(status, 'no');
      expect(await hooks.post(call())).toEqual(refused);
      expect(await hooks.get(reached.url, 20_000)).toEqual(refused);
    });

    test.each([408, 409, 425, 429, 500, 502, 503])('%d is no answer: it may come later', async (status) => {
      answers(status);
      expect(await hooks.post(call())).toEqual(unanswered);
    });

    test('a connection that is cut is no answer', async () => {
      reached.answer('hang_up');
      expect(await hooks.post(call())).toEqual(unanswered);
      expect(await hooks.get(reached.url, 20_000)).toEqual(unanswered);
    });

    test('silence is no answer, once its time is over', async () => {
      reached.answer('silence');
      expect(await hooks.post(call({ timeout_ms: 50 }))).toEqual(unanswered);
      expect(reached.heard()).toHaveLength(1);
    });

    test('what is not allowed is refused, with the reason, and never asked', async () => {
      expect(hooks.forbids(reached.url)).toBeNull();
      expect(hooks.forbids(reached.forbidden)).toEqual(expect.stringMatching(/./));
      expect(await hooks.post(call({ url: reached.forbidden }))).toEqual(refused);
      expect(await hooks.get(reached.forbidden, 20_000)).toEqual(refused);
      expect(hooks.forbidsCommand('none')).toEqual(expect.stringMatching(/./));
      expect(await run('none')).toEqual(refused);
      expect(reached.heard()).toEqual([]);
    });

    test('a command runs to its end with its key and its input; another exit code than 0 is a refusal with the last line', async () => {
      reached.offer('upgrade', { status: 0, text: 'done' });
      reached.offer('fail', { status: 3, text: 'no such host' });
      expect(hooks.forbidsCommand('upgrade')).toBeNull();
      expect(await run('upgrade', { input: '["i1"]', env: { EBBGATE_SERVICE: 'shop' } })).toEqual({
        ok: true,
        value: null,
      });
      expect(reached.heard()).toEqual([{ key: 'k/1', input: '["i1"]' }]);
      const reason = expect.stringMatching(/3.*no such host/) as string;
      expect(await run('fail')).toEqual({ ok: false, error: { kind: 'refused', reason } });
    });

    test('a command that does not end is no answer, once its time is over', async () => {
      reached.offer('hang', 'silence');
      expect(await run('hang', { timeout_ms: 300 })).toEqual(unanswered);
    });

    test('closing, twice, ends what is under way, and nothing is called any more', async () => {
      reached.answer('silence');
      reached.offer('hang', 'silence');
      const under = [hooks.post(call({ timeout_ms: 600_000 })), run('hang', { timeout_ms: 600_000 })];
      await until(() => expect(reached.heard()).toHaveLength(2));
      await hooks.close();
      await hooks.close();
      expect(await Promise.all(under)).toEqual([unanswered, unanswered]);
      expect([await hooks.post(call()), await run('hang')]).toEqual([unanswered, unanswered]);
      expect(reached.heard()).toHaveLength(2);
    });
  });
}
