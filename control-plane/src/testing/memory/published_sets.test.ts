import { createFakeClock } from '../clock.js';
import { publisherContract } from '../publisher.contract.js';
import { MemorySets } from './published_sets.js';

publisherContract('the memory', () => {
  const sets = new MemorySets(createFakeClock());
  let kept = sets.keep();
  return Promise.resolve({
    publisher: () => sets.publisher(),
    connect: (mode) => {
      sets.away = mode === 'away' ? 'unplugged' : null;
      sets.deaf = mode === 'deaf' ? 'the answer is lost' : null;
    },
    takeWrites: (takes) => {
      sets.refuses = takes ? null : 'no memory left';
    },
    wipe: () => {
      sets.wipe();
    },
    keep: () => (kept = sets.keep()),
    goBack: () => {
      sets.goBack(kept);
    },
    damage: (service) => {
      sets.damage(service);
    },
    close: () => Promise.resolve(),
  });
});
