import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const CONTROLLER = fileURLToPath(new URL('../controller/', import.meta.url));

/** What the controller writes by itself, without a record in the audit; each with the reason. */
const BY_ITSELF = new Map([
  ['commands/writing.ts', 'the one way of what people ask for: always with a record'],
  [
    'housekeeping.ts',
    'the roster as gateways report, ended operations, expired intents: events of the service',
  ],
  ['forgetting.ts', 'records in which nothing is decided, of services that are gone'],
  ['releases/writes.ts', 'the steps of a release: events of the release'],
  ['copies/write_copy.ts', 'a copy that is brought back, after the record of it'],
  ['copies/write_consumers.ts', 'the consumers of a copy, or of an accepted loss, after that record'],
  ['office/loss_settlement.ts', 'what an accepted loss writes back, after the record of the acceptance'],
]);

it('nothing that somebody asks for can be written without a record: stores are written in these files alone', () => {
  const files = readdirSync(CONTROLLER, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const writing = sources.filter((name) => {
    const text = readFileSync(`${CONTROLLER}${name}`, 'utf8').replace(/^ *(?:\/\/|\*).*$/gm, '');
    return /\.write\(/.test(text);
  });
  expect(writing.sort()).toEqual([...BY_ITSELF.keys()].sort());
});
