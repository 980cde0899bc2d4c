import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import type { Time } from '../../model/clock.js';
import type { KnownToken, TokenPlane } from '../../model/token.js';
import { Refusal } from '../refusal.js';
import { shownCertificate, type ShownCertificate } from './certificate.js';
import { FailureLimit } from './failure_limit.js';
import { ANYBODY, BOOTSTRAP, identityOf, NOBODY, type Identity } from './identity.js';
import { checkLocal, checkOrigin } from './loopback.js';
import { proves, readToken } from './secret.js';

const BEARER = /^Bearer +(\S+) *$/i;
const CLIENT_CA = 'an authority in EBBGATE_API_CLIENT_CA';
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="ebbgate"' };

export interface AuthenticatorParts {
  /** The one that is configured; null = none. */
  readonly token: string | null;
  /** False: whoever asks without a token, from this machine, may do everything. */
  readonly required: boolean;
  readonly tokens: TokenPlane;
  readonly clock: Time;
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
   * Who asks, by its bearer token, else by its client certificate. Throws a refusal for a token that is wrong, revoked or expired, and for a
   * certificate that proves nobody, also where none is needed: who presents one relies on what it may not do. `open`: nobody is asked.
   */
  identify(request: Request, { open }: { readonly open: boolean }): Identity {
    const { required } = this.#parts;
    if (!required) checkLocal(request);
    if (open) return ANYBODY;
    const given = BEARER.exec(request.get('authorization') ?? '')?.[1];
    if (given !== undefined && (required || readToken(given) !== null)) return this.#byToken(request, given);
    const shown = shownCertificate(request.socket);
    if (shown !== null) return this.#byCertificate(request, shown);
    if (!required) return NOBODY;
    throw unauthorized('send Authorization: Bearer <token>');
  }

  /** False once what was proven is revoked or has expired: what is still open for it has to end. */
  isValid({ id, name, proof, expires }: Identity): boolean {
    if (id === null) return true;
    const ends = proof === 'certificate' && expires !== null ? Date.parse(expires) : Infinity;
    if (ends <= this.#parts.clock.wall()) return false;
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
      return this.#unlessExpired(known, null);
    const wait = this.#failures.wait(address);
    if (wait > 0) throw tooMany(wait);
    if (token !== null && equal(given, token)) return BOOTSTRAP;
    if (parts !== null && !tokens.known) throw NOT_READ;
    this.#failures.failed(address);
    throw unauthorized('this API knows no such token: it is wrong, or was revoked');
  }

  #byCertificate(request: Request, { flaw, name, ends }: ShownCertificate): Identity {
    const { tokens, clock } = this.#parts;
    // A browser presents a certificate by itself, whatever page has it ask.
    checkOrigin(request, 'https');
    if (flaw !== null)
      throw unproven(`is not believed (${flaw}): it has to be valid, and signed by ${CLIENT_CA}`);
    if (ends <= clock.wall()) throw unproven('has expired since this connection was made');
    if (name === null)
      throw unproven(
        'names nobody: it needs a DNS name or a URI (subjectAltName), or exactly one common name',
      );
    const known = tokens.byCertificate(name);
    if (known !== undefined) return this.#unlessExpired(known, ends);
    if (!tokens.known) throw NOT_READ;
    const remedy = 'ebbgate token create --certificate makes one';
    throw unproven(
      `is for ${JSON.stringify(name)}, which no token is for, or one that was revoked; ${remedy}`,
    );
  }

  /** `ends`: when the certificate does, that proves the token; null = its secret proves it. */
  #unlessExpired({ record, expired }: KnownToken, ends: number | null): Identity {
    if (!expired) return identityOf(record, ends);
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

function unproven(flaw: string): Refusal {
  const detail = `the client certificate ${flaw}; a bearer token would count instead`;
  return new Refusal({ code: 'unauthorized', field: 'certificate', detail }, CHALLENGE);
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
