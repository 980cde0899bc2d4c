import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FleetReport, Heartbeat } from '../model/gateway.js';
import type { Feedback, Lifecycle } from '../model/ports.js';
import { buildHeartbeat } from './builders.js';
import type { FakeClock } from './clock.js';
import { until } from './until.js';

/** Where gateways report, nobody at first, and what happens there: whatever that returns is awaited. */
export interface Reporting extends Pick<Lifecycle, 'close'> {
  /** By it the feedback knows when something changed. */
  readonly clock: Pick<FakeClock, 'advance'>;
  /** Another controller's each time, not started. */
  feedback(): Feedback;
  /** `away`: nothing is answered and nothing is done. */
  connect(mode: 'pass' | 'away'): void;
  /** A gateway beats. */
  beat(heartbeat: Heartbeat): unknown;
  /** Somebody adds a name to the list of gateways. */
  list(id: string, at: number): unknown;
  /** Somebody writes nonsense where a gateway's heartbeat is. */
  damage(id: string): unknown;
  /** A gateway is gone, with everything that it wrote. */
  expire(id: string): unknown;
  /** Whether anything is left that a gateway wrote. */
  has(id: string): Promise<boolean>;
}

/** What every feedback promises. */
export function feedbackContract(name: string, make: () => Promise<Reporting>): void {
  describe(`${name} reports what gateways say`, () => {
    let where: Reporting;
    let feedback: Feedback;
    let reports: FleetReport[];

    beforeEach(async () => {
      where = await make();
      reports = [];
      feedback = where.feedback();
    });
    afterEach(async () => {
      where.connect('pass');
      await feedback.close();
      await where.close();
    });

    async function listen(): Promise<void> {
      feedback.onReport((report) => reports.push(report));
      await feedback.start();
      await until(() => expect(latest().complete).toBe(true));
    }
    async function cut(): Promise<void> {
      where.connect('away');
      await until(() => expect(feedback.state().state).not.toBe('connected'));
    }
    const latest = (): FleetReport => reports.at(-1)!;
    const seqs = (): Record<string, number> =>
      Object.fromEntries([...latest().heard].map(([id, { heartbeat }]) => [id, heartbeat.seq]));
    const changedAt = (id: string): number => latest().heard.get(id)!.changed_at;
    const listed = (): Record<string, number> => Object.fromEntries(latest().listed);
    const hear = (expected: Record<string, number>) => until(() => expect(seqs()).toEqual(expected));

    test('a listener gets the present report at once, and another when everything has been read once', async () => {
      await where.beat(buildHeartbeat({ seq: 3 }));
      await where.list('unheard', 1_700_000_000);
      feedback.onReport((report) => reports.push(report));
      expect(reports).toEqual([
        { complete: false, heard: new Map(), listed: new Map(), listed_more: 0, turned_away: 0 },
      ]);
      where.connect('away');
      await feedback.start();
      expect(reports).toHaveLength(1);
      where.connect('pass');
      await until(() => expect(latest().complete).toBe(true));
      // Never complete without whom there is.
      const first = reports.find(({ complete }) => complete)!;
      expect(first.heard.get('gw-1')?.heartbeat).toEqual(buildHeartbeat({ seq: 3 }));
      expect([...first.listed]).toEqual([['unheard', 1_700_000_000]]);
      let late: FleetReport | undefined;
      feedback.onReport((report) => (late = report));
      expect(late).toEqual(latest());
    });

    test('every beat is heard, and the moment of the change is kept', async () => {
      await listen();
      await where.clock.advance(1_000);
      await where.beat(buildHeartbeat({ seq: 1 }));
      await where.beat(buildHeartbeat({ id: 'gw-2', seq: 9 }));
      await hear({ 'gw-1': 1, 'gw-2': 9 });
      await where.clock.advance(500);
      await where.beat(buildHeartbeat({ seq: 2, uncounted: 4 }));
      await hear({ 'gw-1': 2, 'gw-2': 9 });
      expect(latest().heard.get('gw-1')).toEqual({
        heartbeat: buildHeartbeat({ seq: 2, uncounted: 4 }),
        changed_at: 1_500,
      });
      expect(changedAt('gw-2')).toBe(1_000);
    });

    test('a heartbeat that is stopped says nothing new; one that grows or another boot is', async () => {
      await listen();
      await where.beat(buildHeartbeat({ seq: 5 }));
      await hear({ 'gw-1': 5 });
      await where.clock.advance(1_000);
      const pushes = reports.length;
      await where.beat(buildHeartbeat({ seq: 4, uncounted: 9 })); // older data of the same boot, as after a restored snapshot
      await where.beat(buildHeartbeat({ id: 'gw-2', seq: 1 }));
      await hear({ 'gw-1': 5, 'gw-2': 1 });
      expect(reports).toHaveLength(pushes + 1);
      expect([changedAt('gw-1'), changedAt('gw-2')]).toEqual([0, 1_000]);
      await where.beat(buildHeartbeat({ seq: 1, boot: 'another' }));
      await hear({ 'gw-1': 1, 'gw-2': 1 });
      expect(changedAt('gw-1')).toBe(1_000);
    });

    test('a gateway whose heartbeat expired or is damaged stays as it was, and ages', async () => {
      await listen();
      for (const id of ['dead', 'damaged']) await where.beat(buildHeartbeat({ id, seq: 1 }));
      await hear({ dead: 1, damaged: 1 });
      await where.clock.advance(20_000);
      await where.expire('dead');
      await where.damage('damaged');
      await where.beat(buildHeartbeat({ id: 'alive' }));
      await hear({ dead: 1, damaged: 1, alive: 1 });
      expect([changedAt('dead'), changedAt('damaged')]).toEqual([0, 0]);
      await where.beat(buildHeartbeat({ id: 'damaged', seq: 2 }));
      await hear({ dead: 1, damaged: 2, alive: 1 });
      expect(changedAt('damaged')).toBe(20_000);
    });

    test('forget takes a gateway out for good, unless it beats on', async () => {
      await listen();
      await where.beat(buildHeartbeat({ id: 'dead', seq: 7 }));
      await where.beat(buildHeartbeat({ id: 'alive', seq: 1 }));
      await hear({ dead: 7, alive: 1 });
      await feedback.forget('dead');
      expect(seqs()).toEqual({ alive: 1 });
      expect([await where.has('dead'), await where.has('alive')]).toEqual([false, true]);
      await where.beat(buildHeartbeat({ id: 'dead', seq: 7 })); // a leftover, as from a restored snapshot
      await where.beat(buildHeartbeat({ id: 'alive', seq: 2 }));
      await hear({ alive: 2 });
      expect(listed()).toEqual({});
      await where.beat(buildHeartbeat({ id: 'dead', seq: 8 }));
      await hear({ alive: 2, dead: 8 });
      await feedback.forget('unheard-of');
      await expect(feedback.forget('no name')).rejects.toThrow(/gateway must be/);
    });

    test('a gateway that is listed and was never heard is distinguished, until it is heard or forgotten', async () => {
      await where.list('expired', 1_700_000_000);
      await where.list('damaged', 1_700_000_009);
      await where.list('later', 1_700_000_005);
      await where.damage('damaged');
      await where.beat(buildHeartbeat({ id: 'alive', seq: 1 }));
      await listen();
      expect(listed()).toEqual({ damaged: 1_700_000_009, expired: 1_700_000_000, later: 1_700_000_005 });
      expect(seqs()).toEqual({ alive: 1 });
      await where.beat(buildHeartbeat({ id: 'later', seq: 1 }));
      const left = { damaged: 1_700_000_009, expired: 1_700_000_000 };
      await until(() => expect(listed()).toEqual(left));
      await cut();
      await feedback.forget('expired'); // it is taken out there when it can be
      expect(listed()).toEqual({ damaged: 1_700_000_009 });
      where.connect('pass');
      await until(async () => expect(await where.has('expired')).toBe(false));
      await where.list('expired', 1_700_000_000); // what was read went back
      await until(async () => expect(await where.has('expired')).toBe(false));
      expect(listed()).toEqual({ damaged: 1_700_000_009 });
    });

    test('of many names that were never heard a bounded number is kept, and all are forgotten at once', async () => {
      for (let n = 0; n < 150; n += 1) await where.list(`name-${String(n)}`, 1_700_000_000);
      await where.beat(buildHeartbeat({ id: 'real', seq: 1 }));
      await listen();
      await until(() => expect(latest()).toMatchObject({ complete: true, listed_more: 0 }));
      expect(latest().listed.size).toBe(100);
      await cut();
      expect(await feedback.forgetNeverHeard()).toMatchObject({ ok: false });
      expect(latest().listed.size).toBe(100);
      where.connect('pass');
      await until(() => expect(feedback.state().state).toBe('connected'));
      expect(await feedback.forgetNeverHeard()).toEqual({ ok: true, value: 100 });
      await until(() => expect(listed()).toEqual({}));
      expect(seqs()).toEqual({ real: 1 });
      expect(await where.has('real')).toBe(true);
      expect(await feedback.forgetNeverHeard()).toEqual({ ok: true, value: 0 });
    });

    test('away it takes nothing back, and what was missed is read when it returns', async () => {
      await listen();
      await where.beat(buildHeartbeat({ seq: 1 }));
      await hear({ 'gw-1': 1 });
      const pushes = reports.length;
      await cut();
      await where.clock.advance(5_000);
      await where.beat(buildHeartbeat({ seq: 2 }));
      expect(reports).toHaveLength(pushes);
      where.connect('pass');
      await hear({ 'gw-1': 2 });
      expect(changedAt('gw-1')).toBe(5_000);
    });

    test('closed, twice, it reports no more', async () => {
      await listen();
      await feedback.close();
      await feedback.close();
      const pushes = reports.length;
      await where.beat(buildHeartbeat({ seq: 1 }));
      const other = where.feedback();
      let heard = 0;
      other.onReport((report) => (heard = report.heard.size));
      await other.start();
      await until(() => expect(heard).toBe(1));
      await other.close();
      expect(reports).toHaveLength(pushes);
      expect(feedback.state().state).not.toBe('connected');
    });
  });
}
