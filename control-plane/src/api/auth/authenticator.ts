import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import type { Time } from '../../model/clock.js';
import type { KnownToken, TokenPlane } from '../../model/token.js';
import { Refusal } from '../refusal.js';
import { certificateName } from './certificate.js';
import { FailureLimit } from './failure_limit.js';
import { ANYBODY, BOOTSTRAP, identityOf, NOBODY, type Identity } from './identity.js';
import { checkLocal, checkOrigin } from './loopback.js';
import { proves, readToken } from './secret.js';

const BEARER = /^Bearer +(\S+) *$/i;
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="ebbgate"' };

export interface AuthenticatorParts {
  /** The one that is configured; null = none. */
  readonly token: string | null;
  /** False: whoever asks without a token, from this machine, may do everything. */
  readonly required: boolean;
  readonly tokens: TokenPlane;
  readonly clock: Pick<Time, 'monotonic'>;
  /** How many wrong tokens at once may come from one address; default: `BURST`. */
  readonly burst?: number;
}

/** Finds out who asks. */
export class Authenticator {
  readonly #parts: AuthenticatorParts;
  readonly #failures: FailureLimit;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
    this.#failures = new FailureLimit(parts.clock, parts.burst);
  }

  /**
   * Who asks, by its bearer token, else by its client certificate. Throws a refusal for a token that is wrong, revoked or expired,
   * also where none is needed: who presents one relies on what it may not do. `open`: nobody is asked.
   */
  identify(request: Request, { open }: { readonly open: boolean }): Identity {
    const { required, tokens } = this.#parts;
    if (!required) checkLocal(request);
    if (open) return ANYBODY;
    const given = BEARER.exec(request.get('authorization') ?? '')?.[1];
    if (given !== undefined && (required || readToken(given) !== null)) return this.#byToken(request, given);
    const name = certificateName(request.socket);
    const known = name === null ? undefined : tokens.byCertificate(name);
    if (known !== undefined) {
      // A browser presents a certificate by itself, whatever page has it ask.
      checkOrigin(request, 'https');
      return this.#unlessExpired(known, 'certificate');
    }
    if (!required) return NOBODY;
    if (name === null) throw unauthorized('send Authorization: Bearer <token>');
    if (!tokens.known) throw NOT_READ;
    throw unauthorized(
      `the client certificate ${JSON.stringify(name)} belongs to no token; ebbgate token create --certificate makes one`,
    );
  }

  /** False once the token that was proven is revoked or has expired: what is still open for it has to end. */
  isValid({ id, name }: Identity): boolean {
    if (id === null) return true;
    return this.#parts.tokens.list().some((one) => one.name === name && one.id === id && !one.expired);
  }

  /**
   * A token of the store cannot be guessed, so its holder gets in also from an address that has failed too often: a neighbour behind
   * the same address locks nobody out. What may be guessed, and every further failure, waits.
   */
  #byToken(request: Request, given: string): Identity {
    const { tokens, token } = this.#parts;
    const address = request.socket.remoteAddress ?? '';
    const parts = readToken(given);
    const known = parts === null ? undefined : tokens.byId(parts.id);
    if (proves(parts?.secret ?? given, known?.record.verifier ?? null) && known !== undefined)
      return this.#unlessExpired(known, 'token');
    const wait = this.#failures.wait(address);
    if (wait > 0) throw tooMany(wait);
    if (token !== null && equal(given, token)) return BOOTSTRAP;
    if (parts !== null && !tokens.known) throw NOT_READ;
    this.#failures.failed(address);
    throw unauthorized('this API knows no such token: it is wrong, or was revoked');
  }

  #unlessExpired({ record, expired }: KnownToken, proof: 'token' | 'certificate'): Identity {
    if (!expired) return identityOf(record, proof);
    throw unauthorized(`the token ${record.name} expired at ${record.expires ?? ''}`);
  }
}

/** Digests are compared, so the time reveals nothing, not even a length. */
function equal(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function unauthorized(detail: string): Refusal {
  return new Refusal({ code: 'unauthorized', field: 'header.authorization', detail }, CHALLENGE);
}

function tooMany(seconds: number): Refusal {
  const detail = 'too many wrong tokens came from this address; wait, and send the right one';
  return new Refusal(
    { code: 'too_many_failures', field: 'header.authorization', detail },
    { ...CHALLENGE, 'Retry-After': String(seconds) },
  );
}

const NOT_READ = new Refusal({
  code: 'not_ready',
  detail: 'The tokens have not been read from ZooKeeper yet. Try again in a moment.',
});
