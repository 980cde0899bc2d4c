import type { KnownToken, TokenPlane, TokenRecord, TokenResource } from '../model/token.js';
import type { StoredToken } from '../model/token_ports.js';

type ByName = ReadonlyMap<string, StoredToken>;

export interface TokenReads {
  /** The newest tokens; null before they were read. */
  readonly tokens: () => ByName | null;
  /** Milliseconds of the checked clock. */
  readonly wall: () => number;
}

interface Index {
  readonly of: ByName;
  readonly byId: ReadonlyMap<string, TokenRecord>;
  readonly byCertificate: ReadonlyMap<string, TokenRecord>;
}

const NONE: ByName = new Map();

/**
 * The tokens as the API asks for them: from what this controller was shown last, so a standby knows a revocation as soon as
 * ZooKeeper has reported it. One that was lost with ZooKeeper's data stays valid until a person has decided.
 */
export function createTokenPlane({ tokens, wall }: TokenReads): TokenPlane {
  let index = indexOf(NONE);
  const present = (): Index => {
    const newest = tokens() ?? NONE;
    if (index.of !== newest) index = indexOf(newest);
    return index;
  };
  const known = (record: TokenRecord | undefined): KnownToken | undefined =>
    record && { record, expired: hasExpired(record, wall()) };
  return {
    get known() {
      return tokens() !== null;
    },
    list: () =>
      [...present().of.values()]
        .map(({ record }) => describe(record, wall()))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    byId: (id) => known(present().byId.get(id)),
    byCertificate: (name) => known(present().byCertificate.get(name)),
  };
}

function indexOf(of: ByName): Index {
  const records = [...of.values()].map(({ record }) => record);
  return {
    of,
    byId: new Map(records.filter(({ verifier }) => verifier !== null).map((one) => [one.id, one])),
    byCertificate: new Map(
      records.flatMap((one) => (one.certificate === null ? [] : [[one.certificate, one]])),
    ),
  };
}

function hasExpired({ expires }: TokenRecord, wall: number): boolean {
  return expires !== null && Date.parse(expires) <= wall;
}

function describe(record: TokenRecord, wall: number): TokenResource {
  const { name, id, role, scope, certificate, by, reason, at: since, expires: until } = record;
  return { name, id, role, scope, certificate, by, reason, since, until, expired: hasExpired(record, wall) };
}
