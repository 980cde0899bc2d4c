import { existsSync, mkdtempSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The wall clock of one process and its children, which a test sets while they run (Debian's libfaketime). Their monotonic
 * clock goes on, as the kernel's does when somebody sets the time.
 */
export class WallClock {
  private readonly file = join(mkdtempSync(join(tmpdir(), 'ebbgate-clock-')), 'offset');
  /** For the environment of the process. */
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    const library = readdirSync('/usr/lib')
      .map((dir) => `/usr/lib/${dir}/faketime/libfaketime.so.1`)
      .find((path) => existsSync(path));
    if (library === undefined) throw new Error('libfaketime is not installed; run npm test once');
    this.set(0);
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Sets it to so many seconds after the true time, or before it. */
  set(seconds: number): void {
    writeFileSync(`${this.file}.new`, `${seconds < 0 ? '-' : '+'}${String(Math.abs(seconds))}\n`);
    renameSync(`${this.file}.new`, this.file);
  }
}
