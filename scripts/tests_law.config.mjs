// `oxlint -c scripts/tests_law.config.mjs control-plane/src e2e bench`: what a test may not say, because it can then not fail.
import { fileURLToPath } from 'node:url';

const PATTERN =
  'toMatchObject takes a pattern for an object that every text has the members of: it matches all. Write expect.stringMatching(/…/).';

const IN_OBJECT = 'CallExpression[callee.property.name="toMatchObject"] Property > Literal[regex]';
const IN_LIST = 'CallExpression[callee.property.name="toMatchObject"] ArrayExpression > Literal[regex]';

export default {
  categories: { correctness: 'off' },
  options: { denyWarnings: true },
  jsPlugins: [fileURLToPath(new URL('folder_law_plugin.mjs', import.meta.url))],
  rules: {
    'ebbgate/no-restricted-syntax': [
      'error',
      { selector: IN_OBJECT, message: PATTERN },
      { selector: IN_LIST, message: PATTERN },
    ],
  },
};
