// Random histories in groups that run at once, and what became of each. Plain functions.

/** `wanted` histories from seed `first` on, in at most `most` groups. */
export function historyGroups(first, wanted, most) {
  const share = Math.ceil(wanted / most);
  return Array.from({ length: most }, (_, group) => ({
    seed: first + group * share,
    count: Math.min(share, wanted - group * share),
  })).filter(({ count }) => count > 0);
}

/**
 * What the report says of the groups. A group writes `{started: seed}` once its servers run, then a line per history that it
 * has played to its end. Unfinished are the histories of groups that started; those of a group that never started (its servers
 * did not come up) say nothing about the product, and are counted apart.
 */
export function readReport(text, groups) {
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const started = new Set(lines.flatMap((line) => line.started ?? []));
  const played = lines.filter((line) => line.seed !== undefined);
  const sum = (some) => some.reduce((total, { count }) => total + count, 0);
  const running = groups.filter(({ seed }) => started.has(seed));
  return {
    played,
    unfinished: sum(running) - played.length,
    notStarted: sum(groups) - sum(running),
  };
}
