import Handlebars from 'handlebars';
import { ok, type Result } from '../model/result.js';
import type { GivenOptions } from './options.js';
import { parseOptions, type OptionError } from './parse_options.js';
import { viewOf } from './view.js';

/** The texts of nginx.conf.hbs and of its partials, by file name without `.hbs`. */
export interface Templates {
  readonly main: string;
  readonly partials: Readonly<Record<string, string>>;
}

/**
 * The text of nginx.conf, or every option that did not pass. Pure: reads nothing, writes nothing. Values are placed
 * unescaped, which is safe because parseOptions lets none through that could leave its place; a name that a template
 * uses and the view lacks throws, since that is a mistake in the product.
 */
export function renderConf(
  given: GivenOptions,
  templates: Templates,
  version: string,
): Result<string, readonly OptionError[]> {
  if (!/^[0-9A-Za-z.+-]+$/.test(version)) throw new Error(`${version} is not a version`);
  const options = parseOptions(given);
  if (!options.ok) return options;
  const engine = Handlebars.create();
  const compileOptions = { noEscape: true, strict: true };
  const partials = Object.entries(templates.partials).map(
    ([name, text]) => [name, engine.compile(text, compileOptions)] as const,
  );
  const template = engine.compile<object>(templates.main, compileOptions);
  const conf = template(viewOf(options.value, version), { partials: Object.fromEntries(partials) });
  return ok(conf.replace(/ +$/gm, '')); // an indented partial indents its empty lines too
}
