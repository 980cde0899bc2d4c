import { systemClock } from '../../clock.js';
import { hooksContract } from '../hooks.contract.js';
import { MemoryOutside } from './hooks.js';

hooksContract('the memory', () => {
  const outside = new MemoryOutside(systemClock);
  const url = 'http://ci.example/hooks/up';
  outside.answers.set(url, { status: 204, text: '' });
  return Promise.resolve({
    hooks: () => outside.hooks(),
    ...{ url, forbidden: 'http://ci.example/other' },
    answer: (how) => {
      outside.answers.set(url, how);
    },
    offer: (command, how) => {
      outside.answers.set(command, how);
    },
    heard: () => outside.calls.map(({ key, input }) => ({ key, input })),
    close: () => Promise.resolve(),
  });
});
