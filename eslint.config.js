import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { folderLaw } from './scripts/folder_law.mjs';
import { noObjectDictionary } from './scripts/no_object_dictionary.mjs';

const NODE_GLOBALS = Object.fromEntries(
  ['process', 'console', 'performance', 'URL', 'setTimeout', 'clearTimeout', 'Buffer', 'fetch'].map(
    (name) => [name, 'readonly'],
  ),
);

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', '.ebbgate/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  { files: ['**/*.mjs', '**/*.js'], languageOptions: { globals: NODE_GLOBALS } },
  {
    files: ['control-plane/**/*.ts', 'e2e/**/*.ts', 'bench/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Export a name.' }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Both cost a third of the whole lint's time, and there is no enum here to guard.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      // A number in a message is plain to read; objects, booleans and nulls stay errors.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['control-plane/src/**/*.ts'],
    ignores: [
      '**/*.{test,contract}.ts',
      'control-plane/src/testing/**',
      'control-plane/src/model/dictionary.ts',
    ],
    plugins: { ebbgate: { rules: { 'no-object-dictionary': noObjectDictionary } } },
    rules: { 'ebbgate/no-object-dictionary': 'error' },
  },
  ...folderLaw(),
  { files: ['**/vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    // A test says what it expects by failing; `!` and a JSON body of unknown shape do that as well as a guard.
    files: [
      '**/*.test.ts',
      '**/*.contract.ts',
      'e2e/**/*.ts',
      'bench/**/*.ts',
      'control-plane/src/testing/**/*.ts',
    ],
    rules: {
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
