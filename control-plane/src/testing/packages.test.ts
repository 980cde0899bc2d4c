import { describe, expect, it } from 'vitest';

/*
 * Which apt packages `npm test` installs: the first that a release has and that takes nothing away. What apt would say is
 * written down from Debian 12 and 13; that both install and run is tried by hand (docs/reference/platforms.md).
 */

interface Need {
  readonly gives: string;
  readonly packages: readonly string[];
}
interface Packages {
  readonly choosePackages: (
    needs: readonly Need[],
    objection: (names: readonly string[]) => string | null,
  ) => { packages: string[]; unmet: { gives: string; reasons: string[] }[] };
  readonly readSimulation: (status: number, stdout: string, stderr: string) => string | null;
}
const scripts = new URL('../../../scripts/packages.mjs', import.meta.url).href;
const { choosePackages, readSimulation } = (await import(scripts)) as Packages;

const NEEDS: readonly Need[] = [
  { gives: 'Lua in nginx', packages: ['libnginx-mod-http-lua'] },
  { gives: 'JSON for it', packages: ['lua-cjson'] },
  { gives: 'luajit', packages: ['luajit2', 'luajit'] },
  { gives: 'JSON for luajit', packages: ['lua-cjson'] },
];

/** A system that has these packages, and removes what `excludes` says. */
const system =
  (has: readonly string[], excludes: readonly (readonly [string, string])[] = []) =>
  (names: readonly string[]): string | null => {
    const absent = names.find((name) => !has.includes(name));
    if (absent !== undefined) return `Package '${absent}' has no installation candidate`;
    const clash = excludes.find(([one, other]) => names.includes(one) && names.includes(other));
    return clash === undefined ? null : `would remove ${clash[0]}`;
  };

describe('the packages', () => {
  it.each([
    [
      'of Debian 12, which has both LuaJITs, and whose luajit takes the Lua module of nginx away',
      system(
        ['libnginx-mod-http-lua', 'lua-cjson', 'luajit2', 'luajit'],
        [['libnginx-mod-http-lua', 'luajit']],
      ),
      ['libnginx-mod-http-lua', 'lua-cjson', 'luajit2'],
    ],
    [
      'of Debian 13, which has no luajit2',
      system(['libnginx-mod-http-lua', 'lua-cjson', 'luajit']),
      ['libnginx-mod-http-lua', 'lua-cjson', 'luajit'],
    ],
  ])('%s', (_, objection, packages) => {
    expect(choosePackages(NEEDS, objection)).toEqual({ packages, unmet: [] });
  });

  it('are none for what only takes something away, and that says what', () => {
    const objection = system(
      ['libnginx-mod-http-lua', 'lua-cjson', 'luajit'],
      [['libnginx-mod-http-lua', 'luajit']],
    );
    expect(choosePackages(NEEDS, objection)).toEqual({
      packages: ['libnginx-mod-http-lua', 'lua-cjson'],
      unmet: [
        {
          gives: 'luajit',
          reasons: [
            "luajit2: Package 'luajit2' has no installation candidate",
            'luajit: would remove libnginx-mod-http-lua',
          ],
        },
      ],
    });
  });

  it('are asked for together first: one question where everything fits', () => {
    let asked = 0;
    choosePackages(NEEDS, () => {
      asked += 1;
      return null;
    });
    expect(asked).toBe(1);
  });
});

describe('what apt says', () => {
  it.each<[string, number, string, string, string | null]>([
    ['fits', 0, 'Inst luajit (2.1 Debian:13)\nConf luajit (2.1 Debian:13)\n', '', null],
    [
      'takes away',
      0,
      'Remv lua-resty-core [0.1.25-1]\nRemv luajit2 [2.1]\nInst luajit (2.1)\n',
      '',
      'would remove lua-resty-core luajit2',
    ],
    [
      'has no candidate',
      100,
      'Reading package lists...\n',
      "E: Package 'luajit2' has no installation candidate\n",
      "Package 'luajit2' has no installation candidate",
    ],
    [
      'cannot be had together',
      100,
      'The following packages have unmet dependencies:\n lua-resty-core : Depends: libluajit2-5.1-2 but it is not installable\n',
      'E: Unable to correct problems, you have held broken packages.\n',
      'lua-resty-core : Depends: libluajit2-5.1-2 but it is not installable',
    ],
    ['fails otherwise', 100, '', 'E: Unable to lock directory\n', 'Unable to lock directory'],
  ])('%s', (_, status, stdout, stderr, expected) => {
    expect(readSimulation(status, stdout, stderr)).toBe(expected);
  });
});
