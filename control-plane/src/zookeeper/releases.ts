import { checkName } from '../model/names.js';
import type { ReleaseRecord, ServiceReleases, StoredRelease } from '../model/release.js';
import type { ReleaseEdit, ReleaseStore } from '../model/release_ports.js';
import { err, ok } from '../model/result.js';
import { ANY } from './fence.js';
import type { Found } from './found.js';
import type { ZooKeeperLink } from './link.js';
import type { Reading } from './reader.js';
import { encodeReleaseRecord, parseReleaseRecord } from './release_record.js';
import type { Around, Codec, RecordChange } from './truth_codec.js';
import { createTruthStore, type StorePlace } from './truth_store.js';

/** How many ended releases a service keeps. */
export const KEPT_HISTORY = 10;

/** Of one transaction; ZooKeeper ends the connection of whoever sends a MiB. */
const MOST_BYTES = 1_000_000;
const NOTHING = Buffer.alloc(0);

/** The store at `<root>/releases`, which it creates at the first contact. */
export function createReleaseStore(link: ZooKeeperLink, place: StorePlace): ReleaseStore {
  return createTruthStore(link, place, CODEC);
}

/** `<service>/current` is the lock and the running release, `<service>/history/<n>` what has ended. */
const CODEC: Codec<ServiceReleases, ReleaseEdit, StoredRelease> = {
  noun: 'releases',
  folder: 'releases',
  isCompound: true,
  reading: readingOf,
  place: (service) => `${service}/current`,
  decode: (data, { name, etag }) => {
    const record = parseReleaseRecord(data);
    return record.ok ? ok({ service: name, record: record.value, etag }) : record;
  },
  show,
  change,
};

function readingOf(names: readonly string[]): Reading {
  const [, kind] = names;
  if (names.length <= 1) return 'list';
  if (names.length === 2) return kind === 'current' ? 'data' : kind === 'history' ? 'list' : 'ignore';
  return names.length === 3 && kind === 'history' ? 'data' : 'ignore';
}

function show(found: Found<StoredRelease>, last: ServiceReleases | undefined): ReturnType<typeof CODEC.show> {
  const { name, nodes } = found;
  const isNamed = checkName('service', name).ok;
  if (!isNamed || ![...nodes.keys()].some((place) => place !== '')) return { shown: null, damage: null };
  const running = found.decode('current');
  const current = running?.ok === true ? running.value : running ? (last?.current ?? null) : null;
  const now = { current, history: endedIn(found), last_n: lastNumberIn(found) };
  const damage = running?.ok === false ? running.error : null;
  return { shown: last && isSame(last, now) ? last : now, damage };
}

/** What has ended and can be read, in order; a service goes on without the rest. */
function endedIn({ nodes, decode }: Found<StoredRelease>): readonly ReleaseRecord[] {
  const ended = [...nodes.keys()].flatMap((place) => {
    const decoded = place.startsWith('history/') ? decode(place) : undefined;
    return decoded?.ok === true ? [decoded.value.record] : [];
  });
  return ended.sort((a, b) => a.n - b.n);
}

/** By its name: whatever a node of the history has in it, and whether it can be read, its place is taken. */
function lastNumberIn({ nodes, refused }: Found<StoredRelease>): number {
  const numbers = [...nodes.keys(), ...refused.keys()].map(
    (place) => /^history\/(\d{1,9})$/.exec(place)?.[1],
  );
  return Math.max(0, ...numbers.map((n) => Number(n ?? 0)));
}

function isSame(before: ServiceReleases, now: ServiceReleases): boolean {
  return (
    before.last_n === now.last_n &&
    before.current?.etag === now.current?.etag &&
    before.history.map((one) => one.id).join() === now.history.map((one) => one.id).join()
  );
}

function change(edit: ReleaseEdit, around: Around<ServiceReleases>): ReturnType<typeof CODEC.change> {
  const { service, etag, current, archive } = edit;
  const { at, known } = around;
  if (edit.forget) return ok({ name: service, nodes: allOf(service, around) });
  const nodes: RecordChange['nodes'][number][] = [];
  for (const path of [at(service), at(`${service}/history`)])
    if (known(path) === undefined) nodes.push({ path, data: NOTHING, etag: null });
  if (archive) {
    nodes.push({
      path: at(`${service}/history/${String(archive.n)}`),
      ...{ data: encodeReleaseRecord(archive), etag: null },
    });
    for (const path of surplus(service, around)) nodes.push({ path, data: null, etag: ANY });
  }
  const data = current ? encodeReleaseRecord(current) : null;
  if (etag !== null || data !== null) nodes.push({ path: at(`${service}/current`), data, etag });
  const wrong = unfit(edit, nodes);
  return wrong === null ? ok({ name: service, nodes }) : err(`${service}: ${wrong}`);
}

/** The removal of everything a service has, what is below first; it fails while there is more than is known, like a release that begins. */
function allOf(service: string, { at, known, shown }: Around<ServiceReleases>): RecordChange['nodes'] {
  const ended = (shown(service)?.history ?? []).map(({ n }) => at(`${service}/history/${String(n)}`));
  return [...ended, at(`${service}/history`), at(service)]
    .filter((path) => known(path) !== undefined)
    .map((path) => ({ path, data: null, etag: ANY }));
}

/** Where the oldest releases are that go when another one comes. */
function surplus(service: string, { at, known, shown }: Around<ServiceReleases>): readonly string[] {
  const paths = (shown(service)?.history ?? []).map(({ n }) => at(`${service}/history/${String(n)}`));
  return paths
    .slice(0, Math.max(0, paths.length + 1 - KEPT_HISTORY))
    .filter((path) => known(path) !== undefined);
}

/** Why the nodes must not be written, or null: what could not be read back would stop its release for good. */
function unfit({ current, archive }: ReleaseEdit, nodes: RecordChange['nodes']): string | null {
  const bytes = nodes.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  if (bytes > MOST_BYTES)
    return `the record would be ${String(bytes)} bytes, and ZooKeeper takes ${String(MOST_BYTES)}: use smaller batches`;
  for (const record of [current, archive]) {
    const parsed = record ? parseReleaseRecord(encodeReleaseRecord(record)) : ok(null);
    if (!parsed.ok) return `the record could not be read back (${parsed.error})`;
  }
  return null;
}
