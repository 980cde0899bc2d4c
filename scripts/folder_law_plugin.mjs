// oxlint's rules know no selectors of syntax yet: this one reports what matches, as ESLint's no-restricted-syntax does.

const noRestrictedSyntax = {
  meta: { type: 'problem', schema: false },
  create(context) {
    return Object.fromEntries(
      context.options.map(({ selector, message }) => [selector, (node) => context.report({ node, message })]),
    );
  },
};

export default { meta: { name: 'ebbgate' }, rules: { 'no-restricted-syntax': noRestrictedSyntax } };
