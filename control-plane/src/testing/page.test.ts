import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { spellAccess } from '../api/auth/access.js';
import { endpoints } from '../api/endpoints.js';
import { systemClock } from '../clock.js';
import { OPTIONS } from '../config.js';
import { ROLES } from '../model/role.js';
import { SECTIONS } from '../model/service_spec.js';
import type { Member, Members, Rule } from '../model/shape.js';
import { GATEWAY_OPTIONS, type GatewayOption } from '../render/options.js';
import { MemoryPlane } from './memory_plane.js';
import { regenerate, REWRITE, table } from './page.js';
import { specContract } from './spec_contract.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const UPDATE = process.env.UPDATE === '1';

/** An empty cell says nothing; a dash says that there is none. */
const code = (text: string): string => (text === '' ? '–' : `\`${text}\``);

function configurationPage(): string {
  const rows = Object.values(OPTIONS).map(({ env, kind, fallback, doc }) => {
    const takes = kind.label.includes(' | ') ? kind.label.split(' | ').map(code).join(', ') : kind.label;
    return [code(env), takes, code(fallback), doc];
  });
  return `# Configuration of the controller

\`ebbgate controller\` reads these environment variables once, when it starts; an empty one counts as absent. What does not pass is listed
all at once, with exit code 2. \`ebbgate controller --help\` shows the same list. Durations are a whole number and a unit:
\`1500ms\`, \`90s\`, \`5m\`, \`2h\`, \`7d\`.

${table(['variable', 'takes', 'default', 'meaning'], rows)}

The command line and \`ebbgate register\` read \`EBBGATE_API\`, \`EBBGATE_API_CA\`, \`EBBGATE_API_CERT\`, \`EBBGATE_API_KEY\`, \`EBBGATE_TOKEN\`,
\`EBBGATE_ACTOR\` and \`EBBGATE_ZOOKEEPER\`; see [the command line](cli.md). A gateway is configured when its nginx.conf is [rendered](gateway-options.md).

This page is generated from \`control-plane/src/config.ts\`: \`${REWRITE}\` writes it again.
`;
}

/** What a value must look like, in the words of its own refusal. */
function limits({ field }: GatewayOption): string {
  const messages = ['\0', ['\0']].flatMap((junk) => {
    const parsed = field.safeParse(junk);
    return parsed.success ? [] : parsed.error.issues.map(({ message }) => message);
  });
  const said = messages.find((message) => !/^needs \d/.test(message) && message !== 'must be true or false');
  const text = (said ?? '').replace(/^must be /, '');
  // Where nothing is a value too, the refusal names it by nothing; which character was junk is no part of the rule.
  return text
    .replace(/; it contains .*$/, '')
    .replace(/^, or /, '')
    .replace(', or , or ', ', or ');
}

function shownDefault({ default: fallback }: GatewayOption): string {
  if (fallback === undefined) return 'required';
  if (Array.isArray(fallback)) return code(fallback.join(' '));
  return fallback === false ? 'off' : code(String(fallback));
}

function gatewayPage(): string {
  const rows = Object.values<GatewayOption>(GATEWAY_OPTIONS).map((option) => [
    code(`${option.flag} ${option.value}`.trim()),
    limits(option) || '–',
    shownDefault(option),
    option.doc,
  ]);
  return `# Options of a gateway

\`ebbgate render\` writes the nginx.conf of one gateway, to stdout or into \`--out FILE\`. Every value is checked before it comes near the
template; what does not pass is listed all at once, with exit code 2. Sets, weights and routes are no options: they reach a
running gateway without a new nginx.conf.

\`\`\`text
ebbgate render --gateway-id edge-1 --redis-host 10.0.0.5 --out /etc/ebbgate/nginx.conf
nginx -p /var/lib/ebbgate -c /etc/ebbgate/nginx.conf       start
kill -HUP, -QUIT                                           reload, stop; TERM would cut running requests
\`\`\`

Without \`--lua-dir\` the Lua code is that of the Ebbgate which renders. The password of Redis comes from the environment variable \`EBBGATE_REDIS_PASSWORD\` of nginx and is in no file.

${table(['flag', 'takes', 'default', 'meaning'], rows)}

This page is generated from \`control-plane/src/render/options.ts\`: \`${REWRITE}\` writes it again.
`;
}

/** What a member of the spec may be. */
function takes(rule: Rule): string {
  const span = (min: number, max: number): string =>
    `${min.toLocaleString('en')} … ${max.toLocaleString('en')}`;
  switch (rule.kind) {
    case 'whole':
      return span(rule.min, rule.max);
    case 'flag':
      return '`true`, `false`';
    case 'one_of':
      return rule.values.map(code).join(', ');
    case 'text':
      return rule.hint;
    case 'range':
      return `\`[from, to]\` within ${span(rule.min, rule.max)}`;
    case 'list':
      return `a list of ${takes(rule.of)}`;
    case 'form':
      return rule.hint;
    case 'object':
      return 'an object';
    case 'objects':
      return `a list of at most ${String(rule.most)} objects`;
  }
}

function specRows(members: Members, path: string): readonly (readonly string[])[] {
  return Object.entries(members).flatMap(([name, member]): readonly (readonly string[])[] => {
    const { rule, doc } = member;
    const row = [code(`${path}.${name}`), takes(rule), usual(member), doc];
    return rule.kind === 'object' ? [row, ...specRows(rule.members, `${path}.${name}`)] : [row];
  });
}

function usual({ fallback }: Member): string {
  if (fallback === undefined) return 'required';
  if (fallback === null) return 'none';
  return typeof fallback === 'string' ? code(fallback) : code(JSON.stringify(fallback));
}

function specPage(): string {
  const sections = Object.entries(SECTIONS).map(
    ([name, { doc, rule }]) => `## ${name}

${doc}

${table(['member', 'takes', 'default', 'meaning'], specRows(rule.members, rule.kind === 'objects' ? `${name}[]` : name))}
`,
  );
  return `# The spec of a service

What can be decided for a service, while it runs, without touching a gateway's nginx.conf:

\`\`\`text
ebbgate set service shop balancer.algorithm=ewma health.max_fails=5 timeouts.read_ms=10s
ebbgate set service shop health.check.type=http health.check.path=/health health.check.statuses=200-299
ebbgate set service shop health.check= retry=            back to the default: one member, a whole section
ebbgate set service shop retry.tries=3 --dry-run         show what would change
ebbgate set service shop limits='[{"name": "per-client", "rate": "10/s", "key": ["client_ip"]}]'
ebbgate describe service shop                            all of it: what was decided, and what is by default
\`\`\`

The [API](api.md) takes the same as a merge patch (RFC 7396): \`PATCH /v1/services/shop\` with \`{"health": {"max_fails": 5, "check": null}}\`
changes these two and nothing beside them; null takes a member, or a whole section, back to its default; lists are replaced. An answer shows the whole spec with
every default filled in, and null where there is none. Members that do not go together are refused by name; nothing is written then.

Times are milliseconds up to a day. The command line also takes them as durations: \`500ms\`, \`10s\`, \`5m\`.
Routes are a list, \`routes: [{host, path, …}]\`, and are changed with \`ebbgate route\`: [route requests](../how-to/routing.md). \`min_available\` (1) is what guards keep: they refuse
what would leave fewer instances that [serve](../explanation/draining.md#guards), backups included.

${sections.join('\n')}
## What goes together

- \`balancer.hash_on\` is needed by \`consistent_hash\`; the other algorithms leave it alone, so it may stay while another is tried.
- \`balancer.hash_on.name\` is needed unless the source is \`path\`, which has none.
- \`health.check.timeout_ms\` is below \`health.check.interval_ms\`.
- \`timeouts.total_ms\`, if not 0, is at least \`timeouts.try_ms\`.
- Of a limit: \`rate\` is needed, but for \`concurrency\`, which needs \`burst\`. \`burst\` goes with \`token_bucket\` and \`concurrency\`, \`queue\` with \`leaky_bucket\`,
  \`scope\` \`cluster\` with \`token_bucket\`.
  \`cost\` is no more than what can be there at once.
- \`upstream.tls\` goes with the schemes \`https\` and \`grpcs\`.

This page is generated from \`control-plane/src/model/service_spec.ts\`: \`${REWRITE}\` writes it again.
`;
}

function rolesPage(): string {
  const routes = endpoints({
    ...{ plane: new MemoryPlane(), clock: systemClock, version: '', randomBytes },
    metrics: () => Promise.resolve(''),
  }).flat();
  const rows = routes.map(({ method, path, access }) => {
    const { role, about } = spellAccess(access);
    return [code(`${method.toUpperCase()} ${path}`), role, about];
  });
  return `# Roles

What each role of a token is for. \`viewer\`, \`operator\`, \`releaser\` and \`admin\` each contain those before them; \`gateway\` and \`registrar\` are for machines
and contain nothing else. [Who may do what](../how-to/roles.md) says which to give to whom.

${table(
  ['role', 'for'],
  Object.entries(ROLES).map(([role, use]) => [code(role), use]),
)}

## What each route needs

A token is also for services: a pattern like \`shop-*\`, or \`*\` for all; of role \`gateway\` for gateways. The last column says what of a request it has to match.

${table(['route', 'least role', 'what the token has to be for'], rows)}

This page is generated from the routes: \`${REWRITE}\` writes it again.
`;
}

it.each([
  ['reference/roles.md', rolesPage],
  ['reference/configuration.md', configurationPage],
  ['reference/service-spec.md', specPage],
  ['contract/spec.json', () => JSON.stringify(specContract())],
  ['reference/gateway-options.md', gatewayPage],
])('%s is what the code says', async (name, page) => {
  const { present, wanted } = await regenerate(name, page(), UPDATE);
  expect(present, `write it again: ${REWRITE}`).toBe(wanted);
});

it('no page links to a file that is not there', () => {
  const folders = ['.', 'docs', 'bench', 'e2e'];
  const pages = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: folder === 'docs', encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(ROOT, folder, name)),
  );
  const dead = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !statSync(join(dirname(page), target), { throwIfNoEntry: false }))
      .map((target) => `${page.slice(ROOT.length)} → ${target}`),
  );
  expect(dead).toEqual([]);
});
