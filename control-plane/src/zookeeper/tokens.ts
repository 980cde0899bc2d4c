import { z } from 'zod';
import { parseGlob } from '../model/glob.js';
import { checkName } from '../model/names.js';
import type { Result } from '../model/result.js';
import { ROLE_NAMES, type Role } from '../model/role.js';
import type { TokenRecord } from '../model/token.js';
import type { StoredToken, TokenEdit, TokenStore } from '../model/token_ports.js';
import type { ZooKeeperLink } from './link.js';
import { hex, moment, namedCodec, parseNamed, text } from './named_record.js';
import type { Codec } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

/** Strict: a member that is not known here could be a limit that another release has set. */
const schema = z.strictObject({
  v: z.literal(1),
  name: z.string().refine((value) => checkName('token', value).ok, { error: 'not a name of a token' }),
  id: hex(16),
  role: z.enum(ROLE_NAMES as [Role, ...Role[]]),
  scope: z.string().refine((value) => parseGlob(value).ok, { error: 'not a pattern' }),
  verifier: z.strictObject({ salt: hex(32), hash: hex(64) }).nullable(),
  certificate: z.string().min(1).max(255).nullable(),
  by: text,
  reason: text,
  at: moment,
  expires: moment.nullable(),
});

const CODEC: Codec<StoredToken, TokenEdit, StoredToken> = {
  noun: 'tokens',
  folder: 'tokens',
  ...namedCodec(parseTokenRecord),
  // Whoever damages one must not keep it valid by that.
  show: showRecord<StoredToken>(() => null),
};

/** The store at `<root>/tokens`, which it creates at the first contact. */
export function createTokenStore(link: ZooKeeperLink, place: StorePlace): TokenStore {
  return createTruthStore(link, place, CODEC);
}

/** Reads the bytes of the token of that name; the error names the first member that is wrong. */
export function parseTokenRecord(name: string, data: Buffer): Result<TokenRecord, string> {
  return parseNamed(schema, name, data);
}
