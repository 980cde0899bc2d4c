// `oxlint -c scripts/folder_law.config.mjs control-plane/src`. The names and the default export are what oxlint asks for.
import { fileURLToPath } from 'node:url';
import { folderLaw } from './folder_law.mjs';

export default {
  categories: { correctness: 'off' },
  options: { denyWarnings: true },
  jsPlugins: [fileURLToPath(new URL('folder_law_plugin.mjs', import.meta.url))],
  overrides: folderLaw(),
};
