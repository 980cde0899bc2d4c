import { describe, expect, it } from 'vitest';
import { NO_INTENT, type IntentRecord, type ServiceEvent } from '../model/intent.js';
import { buildRelease } from '../testing/releases.js';
import { encodeHistory } from '../zookeeper/histories.js';
import { encodeIntentRecord } from '../zookeeper/intent_record.js';
import { keepEvents } from '../model/people.js';
import { revise, rollHistory } from './record.js';
import { describeAsIntent, eventsOfPeople, sharesOfRelease } from './release/service_record.js';

const event = (n: number, by: string, message = `did ${String(n)}`): ServiceEvent => ({
  ...{ at: new Date(n * 1_000).toISOString(), event: 'weight_changed', by, message },
});

/** What a service shows after `n` deeds of people, each among `noise` of the controller; rolled as housekeeping does it. */
function lived(
  n: number,
  noise: number,
  message?: string,
): { record: IntentRecord; history: readonly ServiceEvent[] } {
  let record = NO_INTENT;
  let history: readonly ServiceEvent[] = [];
  for (let at = 1; at <= n; at += 1) {
    record = revise(record, {}, [event(at, 'ann', message)]);
    for (let i = 0; i < noise; i += 1) record = revise(record, {}, [event(at, 'controller')]);
    const rolled = rollHistory(record, history);
    if (rolled) ({ record, history } = rolled);
  }
  return { record, history };
}

describe('what people did', () => {
  it.each([0, 1, 60])('the last 200 deeds stay, with %i lines of the controller between them', (noise) => {
    const { record, history } = lived(300, noise);
    const people = [...history, ...record.events]
      .filter(({ by }) => by === 'ann')
      .map(({ message }) => message);
    expect(people.slice(-200)).toEqual(Array.from({ length: 200 }, (_, i) => `did ${String(i + 101)}`));
    expect(record.events.filter(({ by }) => by === 'controller').length).toBeLessThanOrEqual(50);
  });

  it('a record and a history stay far below what a znode takes, whatever is written into them', () => {
    for (const letter of ['x', '日', '"']) {
      const { record, history } = lived(400, 1, letter.repeat(1_000));
      expect(encodeHistory(history).length).toBeLessThan(700_001);
      expect(encodeIntentRecord(record).length).toBeLessThan(300_000);
    }
  });

  it('hundreds of instances by one request are one line', () => {
    const many = Array.from({ length: 300 }, (_, i) => ({
      ...event(1, 'ann', 'isolated (x)'),
      instance: `i${String(i)}`,
    }));
    const { events } = revise(NO_INTENT, {}, many);
    expect(events).toHaveLength(1);
    expect(events[0]?.message).toMatch(/^isolated \(x\) of 300 instances \(i0, i1, .*, i19, …\)$/);
  });

  it('is not pushed out by others, and neither are they by it', () => {
    const mixed = [
      event(1, 'ann'),
      event(2, 'registry'),
      event(3, 'controller'),
      event(4, 'bob'),
      event(5, 'registry'),
    ];
    expect(keepEvents(mixed, { people: 1, others: 2 }).map(({ by }) => by)).toEqual([
      'controller',
      'bob',
      'registry',
    ]);
  });
});

describe('a release, in the words of its service', () => {
  const release = buildRelease({
    ...{ by: 'ann', reason: 'fixes', message: 'v2 serves alone', state: 'progressing', phase: 'soaking' },
    events: [
      { n: 1, at: '2026-05-01T12:00:00Z', event: 'started', by: 'ann', message: 'from v1 to v2' },
      { n: 2, at: '2026-05-01T12:01:00Z', event: 'converging', by: 'controller', message: 'published' },
      { n: 3, at: '2026-05-01T12:02:00Z', event: 'promoted', by: 'bob', message: 'looks good' },
    ],
  });

  it('its people are in the events of the service', () => {
    expect(eventsOfPeople(release)).toEqual([
      { at: '2026-05-01T12:00:00Z', event: 'release_started', by: 'ann', message: 'rel-1: from v1 to v2' },
      { at: '2026-05-01T12:02:00Z', event: 'release_promoted', by: 'bob', message: 'rel-1: looks good' },
    ]);
  });

  it('is an intent of whoever started it, or paused it', () => {
    expect(describeAsIntent(release)).toMatchObject({ kind: 'release', by: 'ann', reason: 'fixes' });
    const paused = {
      cause: 'person',
      by: 'eve',
      message: 'pause by eve: lunch',
      state: 'progressing',
    } as const;
    expect(
      describeAsIntent({
        ...release,
        state: 'paused',
        phase: null,
        paused: { ...paused, phase: 'soaking' },
      }),
    ).toMatchObject({
      ...{ by: 'eve', reason: 'pause by eve: lunch' },
      value: expect.stringMatching(/paused$/) as string,
    });
  });

  it('leaves its shares by who moved it last, and says whose it replaces', () => {
    const before = {
      ...NO_INTENT,
      versions: { v1: 90, v2: 10 },
      versions_by: { by: 'kim', reason: 'try', at: '2026-05-01T11:00:00Z' },
    };
    const after = sharesOfRelease(before, release, { shares: { v2: 100 }, fallback: null }, 0);
    expect(after).toMatchObject({
      versions: { v2: 100 },
      versions_by: { by: 'bob', reason: 'release rel-1: fixes' },
    });
    expect(after.events).toMatchObject([
      {
        ...{ event: 'shares_changed', by: 'bob' },
        message:
          'shares set to v2 100 % by release rel-1 (started by ann, moved last by bob): v2 serves alone; replaces v1=90,v2=10 by kim: try',
      },
    ]);
  });
});
