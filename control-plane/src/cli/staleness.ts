const SHOWN: Readonly<Record<string, string>> = {
  zookeeper: 'ZooKeeper has not answered since {}: registrations and intents are shown as they were',
  redis: 'Redis has not answered since {}: what gateways report is shown as it was',
};

/**
 * The line on standard error for what `X-Ebbgate-Stale` says; null for a header that is absent or of no store that is known here.
 */
export function staleLine(header: string | undefined): string | null {
  const said = (header ?? '').split(',').flatMap((part) => {
    const [store = '', since = ''] = part.trim().split('=');
    const sentence = Object.hasOwn(SHOWN, store) ? SHOWN[store] : undefined;
    return sentence === undefined ? [] : [sentence.replace('{}', since)];
  });
  return said.length === 0 ? null : `warning: ${said.join('; ')}`;
}
