// What oxlint (.oxlintrc.json) cannot ask: the law of the control plane's folders, and our own rule, which asks the types. Both
// are about the product's files alone.
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { folderLaw } from './scripts/folder_law.mjs';
import { noObjectDictionary } from './scripts/no_object_dictionary.mjs';

const NO_PRODUCT = [
  '**/*.{test,contract}.ts',
  'control-plane/src/testing/**',
  'control-plane/src/testkit.ts',
];

export default defineConfig(
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['control-plane/src/**/*.ts'],
    ignores: NO_PRODUCT,
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: 'control-plane/tsconfig.build.json', tsconfigRootDir: import.meta.dirname },
    },
  },
  {
    files: ['control-plane/src/**/*.ts'],
    ignores: [...NO_PRODUCT, 'control-plane/src/model/dictionary.ts'],
    plugins: { ebbgate: { rules: { 'no-object-dictionary': noObjectDictionary } } },
    rules: { 'ebbgate/no-object-dictionary': 'error' },
  },
  ...folderLaw(),
);
