// A vitest reporter: how long each file took, hooks included, as JSON lines [file, seconds] in the file that EBBGATE_FILE_TIMES names.
import { appendFileSync } from 'node:fs';

export class FileTimes {
  onTestModuleEnd(module) {
    const file = process.env.EBBGATE_FILE_TIMES;
    if (file === undefined) return;
    const { duration, collectDuration } = module.diagnostic();
    appendFileSync(
      file,
      `${JSON.stringify([module.relativeModuleId, (duration + collectDuration) / 1_000])}\n`,
    );
  }
}

/** vitest asks for a default export. */
export { FileTimes as default };
