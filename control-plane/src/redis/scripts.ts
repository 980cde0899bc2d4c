import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The texts of the scripts that run inside Redis; their headers in `lua/redis` say what each promises. */
export interface PublishingScripts {
  readonly open: string;
  readonly publish: string;
  readonly seal: string;
  readonly probe: string;
  readonly verify: string;
  readonly prune: string;
  readonly copy: string;
}

/** Reads the scripts from `directory`, each from the file of its name; rejects with the name of what is missing. */
export async function loadScripts(directory: string): Promise<PublishingScripts> {
  const [open, publish, seal, probe, verify, prune, copy] = await Promise.all([
    load(directory, 'open.lua'),
    load(directory, 'publish.lua'),
    load(directory, 'seal.lua'),
    load(directory, 'probe.lua'),
    load(directory, 'verify.lua'),
    load(directory, 'prune.lua'),
    load(directory, 'copy.lua'),
  ]);
  return { open, publish, seal, probe, verify, prune, copy };
}

async function load(directory: string, file: string): Promise<string> {
  const path = join(directory, file);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`the Redis script ${path} cannot be read: ${String(error)}`, { cause: error });
  }
}
