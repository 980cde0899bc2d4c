import type { ServerIdentity, UnusableFile } from '../../model/api_tls.js';
import type { Clock, Log } from '../../model/ports.js';
import { err, type Result } from '../../model/result.js';
import type { StandingProblem } from '../../model/standing_problem.js';

/** So often the files are looked at. */
const LOOK_MS = 5_000;

export interface CertificateParts {
  /** Reads the files, now. */
  readonly read: () => Result<ServerIdentity, UnusableFile>;
  /** What to call each file in messages. */
  readonly names: Readonly<Record<UnusableFile['of'], string>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: 5 s. */
  readonly lookMs?: number;
}

/**
 * What the API is served with: its files are looked at every few seconds. What cannot be used is left aside, is logged once and shown as a
 * problem; the one before stays in force.
 */
export class ApiCertificate {
  readonly #parts: CertificateParts;
  #present: ServerIdentity;
  /** What the last look found unusable. */
  #unusable: UnusableFile | null = null;
  /** True once two looks in a row found something unusable: of two files one is written first. */
  #lasts = false;
  /** What was logged of it, and the end that was logged as over. */
  #logged: string | null = null;
  #loggedEnd: number | null = null;

  constructor(first: ServerIdentity, parts: CertificateParts) {
    this.#present = first;
    this.#parts = parts;
  }

  get present(): ServerIdentity {
    return this.#present;
  }

  /** Looks at the files until it is stopped, and hands each new certificate on with the one before. */
  watch(onChange: (now: ServerIdentity, before: ServerIdentity) => void): Disposable {
    return this.#parts.clock.every(this.#parts.lookMs ?? LOOK_MS, () => {
      this.#look(onChange);
    });
  }

  /** What is wrong now: files that cannot be used, and a certificate in force that has ended. */
  problems(): readonly StandingProblem[] {
    const { clock, names } = this.#parts;
    const found: StandingProblem[] = [];
    const problem = { code: 'unusable_certificate', service: null } as const;
    if (this.#unusable !== null && this.#lasts) {
      const { of, message } = this.#unusable;
      found.push({ ...problem, field: names[of], message: keptSentence(names[of], message) });
    }
    if (this.#present.ends <= clock.wall()) found.push({ ...problem, field: 'end', message: this.#ended() });
    return found;
  }

  #ended(): string {
    const { names } = this.#parts;
    const ended = new Date(this.#present.ends).toISOString();
    return `the certificate of the control API has ended at ${ended}; no client believes it; replace the files of ${names.cert} and ${names.key}, they are looked at every few seconds`;
  }

  #look(onChange: (now: ServerIdentity, before: ServerIdentity) => void): void {
    this.#readAgain(onChange);
    const { ends } = this.#present;
    if (ends > this.#parts.clock.wall() || this.#loggedEnd === ends) return;
    this.#loggedEnd = ends;
    this.#parts.log.error({ ends: new Date(ends).toISOString() }, this.#ended());
  }

  #readAgain(onChange: (now: ServerIdentity, before: ServerIdentity) => void): void {
    const { read, names, log } = this.#parts;
    const before = this.#present;
    const found = unlessEnded(read(), before, this.#parts.clock.wall());
    if (!found.ok) {
      const { of, message } = found.error;
      [this.#lasts, this.#unusable] = [this.#unusable !== null, found.error];
      if (!this.#lasts || this.#logged === message) return;
      this.#logged = message;
      log.error({ option: names[of] }, keptSentence(names[of], message));
      return;
    }
    [this.#unusable, this.#lasts, this.#logged] = [null, false, null];
    const { cert, key, clientCa, ends } = found.value;
    if (cert === before.cert && key === before.key && clientCa === before.clientCa) return;
    this.#present = found.value;
    onChange(found.value, before);
    log.info({ ends: new Date(ends).toISOString() }, 'certificate of the control API renewed');
  }
}

/** A certificate that has ended takes the place of none that has not. */
function unlessEnded(
  found: Result<ServerIdentity, UnusableFile>,
  { ends }: ServerIdentity,
  wall: number,
): Result<ServerIdentity, UnusableFile> {
  if (!found.ok || found.value.ends > wall || ends <= wall) return found;
  const ended = new Date(found.value.ends).toISOString();
  return err({ of: 'cert', message: `the certificate in its file has ended at ${ended}; write a valid one` });
}

function keptSentence(option: string, message: string): string {
  return `${option}: ${message}; the certificate that was read before stays in force`;
}
