import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_BASE_PORT, MARK, marked, reservePlan, send } from '../control-plane/src/testkit.js';
import { runCli } from './harness/cli.js';
import { compareOutput, readTranscript, Shell, type Step } from './harness/transcript.js';

/*
 * Every command of the README and of the tutorial is run as it is there, on a platform of its own, and prints what
 * the page shows. Only places are exchanged: the default ports, and the default directory.
 */

const ROOT = join(import.meta.dirname, '..');
/** Whoever reads is called ann in the pages. */
const READER = 'ann';
/** Commands that only look, and may be given again. */
const LOOKING = /^(npx )?ebbgate (get|describe) |^curl -s \S+\/metrics /;

describe.each(['README.md', 'docs/tutorial.md'])('%s', (page) => {
  const sections = readTranscript(readFileSync(join(ROOT, page), 'utf8'));
  let dir: string;
  let base: number;
  let shell: Shell;
  let broken: string | null = null;

  beforeAll(async () => {
    dir = realpathSync(mkdtempSync(join(tmpdir(), 'ebbgate-pages-')));
    ({ base } = await reservePlan(2, 10)); // with room for the instances that the pages add
    const env = { ...process.env, EBBGATE_API: placed('http://127.0.0.1:8090'), EBBGATE_ACTOR: READER };
    // The mark lets whatever a page left behind be found. It is not that of `dir`, or `down` would end bash too.
    shell = new Shell({
      cwd: ROOT,
      dir,
      env: { ...env, [MARK]: `${dir}-shell`, NPM_CONFIG_LOGLEVEL: 'error' },
    });
  });
  afterAll(async () => {
    shell.close();
    await runCli(['down', '--dir', join(dir, 'state')]);
    for (const pid of marked(`${dir}-shell`)) send(pid, 'SIGKILL');
    if (process.env.EBBGATE_KEEP === undefined) rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  /** The text with this run's ports in place of the default ones. */
  function placed(text: string): string {
    const shift = base - DEFAULT_BASE_PORT;
    return text.replace(/\b(80[89]\d|8[12]8\d|12181|16379)\b/g, (port) => String(Number(port) + shift));
  }

  /** The command, or the line that names one, with this run's ports and directory. */
  function command(text: string): string {
    return placed(text)
      .replace(
        /^npm start( -- --detach)?$/,
        `npm start -- --detach --base-port ${String(base)} --dir .ebbgate`,
      )
      .replace(/\bebbgate (down|status|demo (?:canary|upgrade|stop))\b/g, 'ebbgate $1 --dir .ebbgate')
      .replaceAll('.ebbgate', join(dir, 'state'));
  }

  async function runStep(step: Step): Promise<void> {
    const where = `${page}:${String(step.line)}: $ ${step.command}\n`;
    const deadline = Date.now() + 10_000;
    for (;;) {
      const { code, printed } = await shell.run(command(step.command));
      const failed = code === 0 ? null : `ended with ${String(code)} and printed:\n${printed}`;
      const wrong = failed ?? (step.output && compareOutput(step.output.map(command), printed)) ?? null;
      if (wrong === null) return;
      // Counts are as old as the last heartbeat: whoever looks at once after a request looks again.
      if (!LOOKING.test(step.command) || Date.now() > deadline) throw new Error(where + wrong);
    }
  }

  for (const { title, steps } of sections)
    it(title, { timeout: 180_000 }, async ({ skip }) => {
      skip(broken !== null, `"${broken ?? ''}" failed, and each section goes on from the one before`);
      broken = title;
      for (const step of steps) await runStep(step);
      broken = null;
    });
});

describe('a page that is wrong turns red', () => {
  const shown = ['SERVICE  SERVING', 'shop     ~80/…  op-136be6877bde', '…', 'end'];
  const printed = 'SERVICE SERVING\nshop 78/x op-000000000000\nmore\nend\n';
  it.each([
    ['a word', printed.replace('shop', 'ship')],
    ['a number', printed.replace('78', '60')],
    ['a line too few', printed.replace('end\n', '')],
    ['a line too many', `${printed}again\n`],
    ['nothing', ''],
  ])('by %s', (_what, wrong) => {
    expect(compareOutput(shown, printed)).toBeNull();
    expect(compareOutput(shown, wrong)).toContain('expected:');
  });
  it('by a command that nobody runs', () => {
    expect(() => readTranscript('```text\nnpx ebbgate get services\n```')).toThrow('line 3');
    expect(() => readTranscript('```bash\nls\n```')).toThrow('console, text or json');
  });
});
