import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Election, ElectionMember } from '../model/election.js';
import type { Lifecycle } from '../model/ports.js';
import { must } from './must.js';
import { until } from './until.js';

/** One controller's election, not started, and what happens to its connection. */
export interface Joined {
  readonly election: Election;
  /** `away`: nothing is answered, and its session ends after a while. */
  connect(mode: 'pass' | 'away'): void;
}

/** Where controllers take part in an election. */
export interface Elections extends Pick<Lifecycle, 'close'> {
  join(controller: ElectionMember): Promise<Joined>;
  /** Somebody takes the place of one away. */
  remove(controller: ElectionMember): unknown;
}

const controller = (id: string): ElectionMember => ({
  ...{ id, address: `http://${id}:8090`, version: '0.1.0' },
  started_at: '2026-11-21T00:00:00Z',
});

/** What every election promises. */
export function electionContract(name: string, make: () => Promise<Elections>): void {
  describe(`${name} elects a controller`, () => {
    let where: Elections;
    let joined: Map<string, Joined>;

    beforeEach(async () => {
      where = await make();
      joined = new Map();
    });
    afterEach(async () => {
      for (const one of joined.values()) {
        one.connect('pass');
        await one.election.close();
      }
      await where.close();
    });

    async function join(id: string): Promise<Joined> {
      const one = await where.join(controller(id));
      joined.set(id, one);
      await one.election.start();
      await until(() => expect(one.election.state()).not.toBe('unknown'));
      return one;
    }
    const becomes = (one: Joined, state: string) => until(() => expect(one.election.state()).toBe(state));
    const ids = async (one: Joined) => (await must(one.election.members())).map(({ id }) => id);

    test('nobody before it has an answer; then the only one', async () => {
      const one = await where.join(controller('a'));
      joined.set('a', one);
      expect(one.election.state()).toBe('unknown');
      expect(await one.election.members()).toMatchObject({ ok: false });
      let changes = 0;
      one.election.onChange(() => (changes += 1));
      await one.election.start();
      await becomes(one, 'elected');
      expect(changes).toBe(1);
      expect(await must(one.election.members())).toEqual([controller('a')]);
    });

    test('who joined first, and no other', async () => {
      const [a, b, c] = [await join('a'), await join('b'), await join('c')];
      expect([a, b, c].map((one) => one.election.state())).toEqual(['elected', 'waiting', 'waiting']);
      for (const one of [a, b, c]) expect(await ids(one)).toEqual(['a', 'b', 'c']);
    });

    test('the next one when the elected goes; who waits goes unnoticed', async () => {
      const [a, b, c] = [await join('a'), await join('b'), await join('c')];
      await b.election.close();
      await a.election.close();
      await becomes(c, 'elected');
      expect(await ids(c)).toEqual(['c']);
      expect([a, b].map((one) => one.election.state())).toEqual(['unknown', 'unknown']);
    });

    test('the next one when the session of the elected ends; back again, that one waits', async () => {
      const [a, b] = [await join('a'), await join('b')];
      a.connect('away');
      await becomes(b, 'elected');
      expect(a.election.state()).toBe('unknown');
      a.connect('pass');
      await becomes(a, 'waiting');
      expect(await ids(b)).toEqual(['b', 'a']);
    });

    test('never two at any time', async () => {
      const [a, b] = [await join('a'), await join('b')];
      const together: string[] = [];
      b.election.onChange(() => {
        together.push(`${a.election.state()} ${b.election.state()}`);
      });
      a.connect('away');
      await becomes(b, 'elected');
      a.connect('pass');
      await becomes(a, 'waiting');
      expect(together).toEqual(['unknown elected']);
    });

    test('the next one when the elected resigns, which waits then; who is alone is elected again', async () => {
      const [a, b] = [await join('a'), await join('b')];
      a.election.resign();
      await becomes(b, 'elected');
      await becomes(a, 'waiting');
      await until(async () => expect(await ids(a)).toEqual(['b', 'a']));
      await a.election.close();
      b.election.resign();
      await becomes(b, 'elected');
      expect(await ids(b)).toEqual(['b']);
    });

    test('one whose place is taken away joins again', async () => {
      const [a, b] = [await join('a'), await join('b')];
      await where.remove(controller('b'));
      await until(async () => expect(await ids(a)).toEqual(['a', 'b']));
      await becomes(b, 'waiting');
      await where.remove(controller('a'));
      await becomes(b, 'elected');
      await becomes(a, 'waiting');
    });
  });
}
