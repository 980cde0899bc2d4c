/** A word that says too little, or means two things here. */
interface Retired {
  /** In lower case, as a whole word of prose or as a part of an identifier. */
  readonly word: RegExp;
  readonly say: string;
  /** Lines in which it may stay, each with the reason. */
  readonly except?: readonly { readonly line: RegExp; readonly because: string }[];
}

/**
 * The words that this repository no longer uses. One idea has one word: the glossary of docs/README.md lists those that code, API,
 * command line, docs and metrics share.
 */
const RETIRED: readonly Retired[] = [
  { word: /wish|wishes|wished/, say: 'intent' },
  { word: /overrides/, say: 'intents' },
  { word: /tenures?|upkeep/, say: 'leadership; housekeeping' },
  {
    word: /(?:in|out of|took|takes?|taking|takes|leaves?|left) office/,
    say: 'is the leader, becomes the leader',
  },
  { word: /pacers?/, say: 'scheduler' },
  { word: /lottery|lotteries/, say: 'alias sampler' },
  { word: /patience/, say: 'timeouts' },
  { word: /trials?/, say: 'half_open' },
  { word: /hollow/, say: 'unhealthy' },
  { word: /census|censuses|tally|tallies/, say: 'in_flight_counts, request_counts' },
  { word: /troubles?/, say: 'problem' },
  { word: /lanes?/, say: 'proxy_location; port range' },
  { word: /sight/, say: 'health_view' },
  { word: /crews?/, say: 'group; in tests instances' },
  { word: /retreats?|retreated|retreating/, say: 'roll_back' },
  { word: /stands?|stood/, say: 'is, is in force, is published, is written' },
  { word: /tells?|told|telling/, say: 'reports, shows, says; distinguishes' },
  { word: /desks?/, say: 'context' },
  { word: /news/, say: 'updates' },
  { word: /sane|insane|sanity/, say: 'checked, in_sync, out_of_sync' },
  {
    word: /judges?|judged|judging|judgements?|judgments?/,
    say: 'validate, check; of gates evaluate, verdict',
  },
  { word: /ghosts?/, say: 'the very thing: a name that was never heard, a znode without an owner' },
];

/** One line with a retired word. */
export interface Finding {
  /** From 1. */
  readonly line: number;
  readonly word: string;
  readonly say: string;
}

/** Every retired word in `text`, in prose and in the parts of identifiers (`wishOf`, `judge_all`), by line. */
export function findRetired(text: string): readonly Finding[] {
  return text.split('\n').flatMap((line, index) => {
    const words = plainWords(line);
    return RETIRED.flatMap(({ word, say, except = [] }) => {
      const found = new RegExp(`\\b(?:${word.source})\\b`).exec(words);
      if (!found || except.some((one) => one.line.test(line))) return [];
      return [{ line: index + 1, word: found[0], say }];
    });
  });
}

/** Lower case; identifiers in camelCase and snake_case split into their words. */
function plainWords(line: string): string {
  return line
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase();
}
