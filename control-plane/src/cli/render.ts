import { own } from '../model/dictionary.js';
import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Option, type Command } from 'commander';
import { GATEWAY_OPTIONS, type GatewayOption, type GivenOptions } from '../render/options.js';
import { productRoot, productVersion, readTemplates } from './product.js';

/** `ebbgate render`: nginx.conf on stdout or into --out. Options that do not pass are all listed; exit code 2. */
export function addRender(program: Command): void {
  const command = program.command('render').description('write the nginx.conf of a gateway');
  command.option('--out <FILE>', 'write there instead of to stdout');
  const options = Object.entries<GatewayOption>(GATEWAY_OPTIONS).map(([name, one]) => {
    const option = commanderOption(one, name === 'lua_dir' ? 'that of this installation' : null);
    command.addOption(option);
    return { name, key: option.attributeName() };
  });
  command.action(async (values: Readonly<Record<string, unknown>>) => {
    const given: GivenOptions = Object.fromEntries(options.map(({ name, key }) => [name, own(values, key)]));
    await render(given, typeof values.out === 'string' ? values.out : null);
  });
}

async function render(given: GivenOptions, out: string | null): Promise<void> {
  const { renderConf } = await import('../render/render.js'); // loads what every other command starts without
  const root = productRoot();
  const rendered = renderConf(
    { ...given, lua_dir: given.lua_dir ?? join(root, 'lua') },
    readTemplates(root),
    productVersion(root),
  );
  if (!rendered.ok) {
    for (const { message } of rendered.error) process.stderr.write(`error: ${message}\n`);
    process.exitCode = 2;
  } else if (out === null) process.stdout.write(rendered.value);
  else writeOut(out, rendered.value);
}

function writeOut(file: string, conf: string): void {
  try {
    if (!replaceFile(file, conf)) writeFileSync(file, conf);
  } catch (error) {
    process.stderr.write(`error: --out: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof Error && 'code' in error && error.code === 'EACCES')
      process.stderr.write(hint(file));
    process.exitCode = 1;
  }
}

/**
 * All of it or nothing: an nginx that reloads must not find the half. False where that cannot be: a
 * device, a link, a file that is mounted, a directory that cannot be written.
 */
function replaceFile(file: string, conf: string): boolean {
  const beside = `${file}.new`;
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() === false) return false;
  try {
    writeFileSync(beside, conf);
    renameSync(beside, file);
    return true;
  } catch {
    rmSync(beside, { force: true });
    return false;
  }
}

function hint(file: string): string {
  const uid = String(process.getuid?.());
  const dir = dirname(file);
  return `hint: uid ${uid} must be able to write ${dir}; with Compose: docker compose run --rm give-volumes, else as root: chown -R ${uid} ${dir}\n`;
}

/** commander only collects; the table validates, so that all errors are listed at once and worded in one place. */
function commanderOption(one: GatewayOption, fallback: string | null): Option {
  const [placeholder = ''] = one.value.split(/[[,|]/); // commander takes a comma or a bar for a second flag
  const option = new Option(
    placeholder === '' ? one.flag : `${one.flag} <${placeholder}>`,
    describe(one, fallback),
  );
  if (Array.isArray(one.default))
    option.argParser((value: string, before?: readonly string[]) => [...(before ?? []), value]);
  return option;
}

/** `instead`: what this command takes where the table has a default for others. */
function describe(one: GatewayOption, instead: string | null): string {
  const form = /[[,|]/.test(one.value) ? ` Form: ${one.value}.` : '';
  const fallback = instead ?? one.default;
  if (fallback === undefined) return `${one.doc}${form} Required.`;
  const shown = Array.isArray(fallback) ? fallback.join(' ') : String(fallback);
  return shown === '' || fallback === false ? `${one.doc}${form}` : `${one.doc}${form} Default: ${shown}.`;
}
