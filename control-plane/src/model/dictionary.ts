/*
 * Plain objects that cross JSON and whose names are anybody's: `constructor` and `__proto__` are names like others. A lint rule
 * sees to it that they are read and written by these two only; everywhere else a dictionary is a Map.
 */

/** The own member `name` of the object; never what every object inherits. */
export function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Writes `value` under `name`, whatever the name. */
export function put<T>(record: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(record, name, { value, writable: true, enumerable: true, configurable: true });
}
