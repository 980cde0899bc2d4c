import { electionContract } from '../election.contract.js';
import { type MemoryElection, MemoryElections } from './elections.js';

electionContract('Memory', () => {
  const elections = new MemoryElections();
  const made = new Map<string, MemoryElection>();
  return Promise.resolve({
    join: (controller) => {
      const election = elections.election(controller);
      made.set(controller.id, election);
      return Promise.resolve({
        election,
        connect: (mode) => {
          election.away = mode === 'away';
          if (mode === 'away') election.expire();
        },
      });
    },
    remove: ({ id }) => made.get(id)?.resign(),
    close: () => Promise.resolve(),
  });
});
