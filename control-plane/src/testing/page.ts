import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, type FormatConfig } from 'oxfmt';

const DOCS = new URL('../../../docs/', import.meta.url);
const STYLE = new URL('../../../.oxfmtrc.json', import.meta.url);

/** How a page that is generated gets written again. */
export const REWRITE = 'UPDATE=1 npx vitest run --config control-plane/vitest.config.ts --project pure page';

/** A row of cells as Markdown; bars inside them are escaped. */
export function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** A table as Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n');
}

/**
 * The page `docs/<name>` as it is, and as it should be. With `update` the file is written, so that both are the same.
 */
export async function regenerate(
  name: string,
  markdown: string,
  update: boolean,
): Promise<{ readonly present: string; readonly wanted: string }> {
  const file = fileURLToPath(new URL(name, DOCS));
  const style = JSON.parse(readFileSync(STYLE, 'utf8')) as FormatConfig;
  const { code: wanted, errors } = await format(file, markdown, style);
  if (errors.length > 0) throw new Error(`${name} cannot be formatted: ${JSON.stringify(errors)}`);
  if (update) writeFileSync(file, wanted);
  return { present: readOr(file, ''), wanted };
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
