// A lint rule: no plain object is a dictionary. Versions, zones, labels, ids and headers may be called `constructor` or
// `__proto__`; a plain object then answers with what every object has, or loses what is written. A Map has no such names. Where
// a dictionary crosses JSON it is read by `own` (control-plane/src/model/dictionary.ts) and made by Object.fromEntries.

import { ESLintUtils } from '@typescript-eslint/utils';
import ts from 'typescript';

const READ = 'Names may be those of Object’s members: read it with own() of model/dictionary, or use a Map.';
const WRITE =
  'Names may be those of Object’s members: collect in a Map and make the object with Object.fromEntries.';
const IN = '`in` finds what every object has: ask Object.hasOwn, or use a Map.';

/** True if every value of `type` is written in the source: a literal, or one of several. */
function isFixed(type) {
  if (type.isUnion()) return type.types.every(isFixed);
  return (
    (type.flags & (ts.TypeFlags.StringLiteral | ts.TypeFlags.NumberLike | ts.TypeFlags.ESSymbolLike)) !== 0
  );
}

/** True if an object of `type` takes any string as a name. */
function isDictionary(checker, type) {
  if (type.isUnion()) return type.types.some((one) => isDictionary(checker, one));
  return (
    (type.flags & ts.TypeFlags.Any) !== 0 ||
    checker.getIndexInfoOfType(type, ts.IndexKind.String) !== undefined
  );
}

/** The test of a conditional, or the left side of &&, that asks Object.hasOwn for the same object and name. */
function isGuarded(node, text) {
  const wanted = `Object.hasOwn(${text(node.object)}, ${text(node.property)})`;
  for (let child = node, at = node.parent; at; child = at, at = at.parent) {
    if (at.type === 'ConditionalExpression' && at.consequent === child && text(at.test).includes(wanted))
      return true;
    if (at.type === 'LogicalExpression' && at.operator === '&&' && text(at.left).includes(wanted))
      return true;
  }
  return false;
}

export const noObjectDictionary = {
  meta: { type: 'problem', schema: [], messages: { READ, WRITE, IN } },
  create(context) {
    const services = ESLintUtils.getParserServices(context);
    const checker = services.program.getTypeChecker();
    const text = (node) => context.sourceCode.getText(node);
    return {
      MemberExpression(node) {
        if (!node.computed) return;
        if (isFixed(services.getTypeAtLocation(node.property))) return;
        if (!isDictionary(checker, services.getTypeAtLocation(node.object))) return;
        const { parent } = node;
        const written =
          (parent.type === 'AssignmentExpression' && parent.left === node) ||
          parent.type === 'UpdateExpression' ||
          (parent.type === 'UnaryExpression' && parent.operator === 'delete');
        if (written) context.report({ node, messageId: 'WRITE' });
        else if (!isGuarded(node, text)) context.report({ node, messageId: 'READ' });
      },
      'BinaryExpression[operator="in"]'(node) {
        if (node.left.type === 'PrivateIdentifier') return;
        if (!isFixed(services.getTypeAtLocation(node.left))) context.report({ node, messageId: 'IN' });
      },
    };
  },
};
