// A law of the product's files: no plain object is a dictionary. Versions, zones, labels, ids and headers may be called
// `constructor` or `__proto__`; a plain object then answers with what every object has, or loses what is written. A Map has no
// such names. Where a dictionary crosses JSON it is read by `own` (control-plane/src/model/dictionary.ts) and made by
// Object.fromEntries. The law asks the types: through TypeScript's own API, because no linter hands them to a rule of ours.
//
//   node scripts/no_object_dictionary.mjs
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API, TypeFlags } from 'typescript/unstable/sync';
import { ROOT } from './deps.mjs';

const PRODUCT = join(ROOT, 'control-plane/tsconfig.build.json');
/** The one file that may: it is what the others use instead. */
const EXCEPT = 'control-plane/src/model/dictionary.ts';

const READ = 'Names may be those of Object’s members: read it with own() of model/dictionary, or use a Map.';
const WRITE =
  'Names may be those of Object’s members: collect in a Map and make the object with Object.fromEntries.';
const IN = '`in` finds what every object has: ask Object.hasOwn, or use a Map.';

/** True if every value of `type` is written in the source: a literal, or one of several. */
function isFixed(type) {
  if (type.isUnionType()) return type.getTypes().every(isFixed);
  const { StringLiteral, NumberLike, ESSymbolLike } = TypeFlags;
  return (type.flags & (StringLiteral | NumberLike | ESSymbolLike)) !== 0;
}

/** True if an object of `type` takes any string as a name. */
function isDictionary(checker, type) {
  if (type.isUnionType()) return type.getTypes().some((one) => isDictionary(checker, one));
  if ((type.flags & TypeFlags.Any) !== 0) return true;
  return checker.getIndexInfosOfType(type).some(({ keyType }) => (keyType.flags & TypeFlags.String) !== 0);
}

/** Shows that the node is behind the test of a conditional, or the left side of &&, that asks Object.hasOwn the same. */
function isGuarded(node) {
  const wanted = `Object.hasOwn(${node.expression.getText()}, ${node.argumentExpression.getText()})`;
  for (let child = node, at = node.parent; at; child = at, at = at.parent) {
    if (at.kind === SyntaxKind.ConditionalExpression && at.whenTrue === child)
      if (at.condition.getText().includes(wanted)) return true;
    if (isBinary(at, SyntaxKind.AmpersandAmpersandToken) && at.right === child)
      if (at.left.getText().includes(wanted)) return true;
  }
  return false;
}

function isBinary(node, operator) {
  return node.kind === SyntaxKind.BinaryExpression && node.operatorToken.kind === operator;
}

function isWritten(node) {
  const { parent } = node;
  const { kind } = parent;
  if (kind === SyntaxKind.BinaryExpression) {
    const { operatorToken, left } = parent;
    const { FirstAssignment, LastAssignment } = SyntaxKind;
    return left === node && operatorToken.kind >= FirstAssignment && operatorToken.kind <= LastAssignment;
  }
  if (kind === SyntaxKind.DeleteExpression || kind === SyntaxKind.PostfixUnaryExpression) return true;
  const { PlusPlusToken, MinusMinusToken } = SyntaxKind;
  return (
    kind === SyntaxKind.PrefixUnaryExpression && [PlusPlusToken, MinusMinusToken].includes(parent.operator)
  );
}

/** Every `a[name]` and `name in a` of a file. */
function suspects(file) {
  const found = [];
  const visit = (node) => {
    if (node.kind === SyntaxKind.ElementAccessExpression) found.push(node);
    if (isBinary(node, SyntaxKind.InKeyword) && node.left.kind !== SyntaxKind.PrivateIdentifier)
      found.push(node);
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

function verdict(checker, node, name, object) {
  if (isFixed(name)) return undefined;
  if (node.kind === SyntaxKind.BinaryExpression) return IN;
  if (!isDictionary(checker, object)) return undefined;
  if (isWritten(node)) return WRITE;
  return isGuarded(node) ? undefined : READ;
}

/**
 * What breaks the law in the files of a project (`tsconfig` its absolute path) that lie below its folder.
 * @returns {{file: string, line: number, message: string}[]} absolute paths, lines from 1
 */
export function objectDictionaries(tsconfig, except = []) {
  const api = new API();
  try {
    const [project] = api.updateSnapshot({ openProjects: [tsconfig] }).getProjects();
    const { program, checker } = project;
    const dir = join(tsconfig, '../');
    const files = program
      .getSourceFileNames()
      .filter((file) => file.startsWith(dir) && !except.includes(file));
    if (files.length === 0) throw new Error(`${tsconfig} has no file below ${dir}`);
    const nodes = files.flatMap((file) => suspects(program.getSourceFile(file)));
    const isAccess = ({ kind }) => kind === SyntaxKind.ElementAccessExpression;
    const names = checker.getTypeAtLocation(
      nodes.map((node) => (isAccess(node) ? node.argumentExpression : node.left)),
    );
    const objects = checker.getTypeAtLocation(
      nodes.map((node) => (isAccess(node) ? node.expression : node.right)),
    );
    return nodes.flatMap((node, i) => {
      const message = verdict(checker, node, names[i], objects[i]);
      if (message === undefined) return [];
      const source = node.getSourceFile();
      const line = source.text.slice(0, node.getStart()).split('\n').length;
      return [{ file: source.fileName, line, message }];
    });
  } finally {
    api.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = objectDictionaries(PRODUCT, [join(ROOT, EXCEPT)]);
  for (const { file, line, message } of found) console.log(`${relative(ROOT, file)}:${line}: ${message}`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
