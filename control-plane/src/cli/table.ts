import { safe } from './terminal.js';

/** A column: its head and what it shows of an item. */
export interface Column<T> {
  readonly head: string;
  readonly show: (item: T) => string;
  /** Only in `-o wide`. */
  readonly wide?: boolean;
}

/** Lines in columns two spaces apart, heads first. Empty cells show as `-`; control characters are escaped. */
export function table<T>(columns: readonly Column<T>[], items: readonly T[], wide: boolean): string[] {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const rows = [
    shown.map((column) => column.head),
    ...items.map((item) => shown.map((column) => safe(column.show(item)) || '-')),
  ];
  const widths = shown.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `Name:  value` lines with the values in one column; a value of several lines goes on below itself. */
export function fields(pairs: readonly (readonly [string, string | readonly string[]])[]): string[] {
  const width = Math.max(...pairs.map(([name]) => name.length)) + 1;
  return pairs.flatMap(([name, value]) => {
    const lines = typeof value === 'string' ? [value] : value;
    return (lines.length === 0 ? ['-'] : lines).map((line, i) =>
      `${(i === 0 ? `${name}:` : '').padEnd(width)}  ${safe(line) || '-'}`.trimEnd(),
    );
  });
}

/** `a=1 b=2` in the order of the keys. */
export function pairs(map: Readonly<Record<string, unknown>>, separator = ' '): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${cell(value)}`)
    .join(separator);
}

function cell(value: unknown): string {
  if (value === null) return '?';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
