import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { cycles, type Sources } from './import_law.js';
import { luaBreaches, luaGraph } from './lua_law.js';
import { luaTokens } from './lua_tokens.js';

const ROOT = join(import.meta.dirname, '../../..');
const FOLDER = join(ROOT, 'lua/ebbgate');

const lua: Sources = new Map(
  readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.lua'))
    .map((name) => [name.replaceAll('\\', '/'), readFileSync(join(FOLDER, name), 'utf8')] as const),
);

describe('the Lua of this repository', () => {
  test('there is something to check', () => {
    for (const folder of ['core/', 'worker/', 'phase/http/'])
      expect([...lua.keys()].filter((path) => path.startsWith(folder)).length).toBeGreaterThan(5);
  });
  test('keeps phase → worker → core, and requires what it may', () => {
    expect(luaBreaches(lua)).toEqual([]);
  });
  test('has no require cycle', () => {
    expect(cycles(luaGraph(lua))).toEqual([]);
  });
});

describe('the law of requires sees', () => {
  test.each([
    ['core/a.lua', 'local live = require("ebbgate.worker.live")', /never back/],
    ['worker/a.lua', "local x = require 'ebbgate.phase.http.access'", /never back/],
    ['core/a.lua', 'local ok, x = pcall(require, "ebbgate.phase.http.log")', /never back/],
    ['core/a.lua', 'local x = require [[ebbgate.init]]', /never back/],
    ['core/a.lua', "local b = require 'ngx.balancer'", /core may require/],
    ['core/a.lua', "local s = require 'socket'", /core may require/],
    ['core/a.lua', "local ffi = require 'ffi'", /core may require/],
    ['core/a.lua', "local s = 'a--b' local x = require 'socket'", /core may require/],
    ['core/a.lua', "local s = 'it\\'s --' local x = require 'socket'", /core may require/],
    ['core/a.lua', "local s = [==[ ]] -- ]==] local x = require 'socket'", /core may require/],
    ['worker/follow/a.lua', "local b = require 'ngx.balancer'", /worker may require/],
    ['phase/http/a.lua', "local s = require 'socket'", /phase may require/],
    ['core/a.lua', "local name = 'x' local x = require(name)", /not written out/],
    ['core/a.lua', "local x = require('ebbgate.core.' .. name)", /not written out/],
    ['core/a.lua', "local get = require local x = get 'socket'", /not written out/],
    ['core/a.lua', 'local m = { math }', /as a whole/],
    ['core/a.lua', 'local m = math[name]', /as a whole/],
    ['worker/a.lua', "ffi.cdef('int clock_gettime(int, void *)')", /clock\.lua alone/],
    ['worker/a.lua', 'dict:expire(key, 5)', /lease\.lua/],
    ['worker/a.lua', 'return x -- luacheck: ignore', /luacheckrc alone/],
    ['extra/a.lua', '', /none of core/],
  ])('%s: %s', (path, source, reason) => {
    expect(luaBreaches(new Map([[path, source]])).join('\n')).toMatch(reason);
  });

  test.each([
    ['core/a.lua', '-- require "socket"\n--[[ require "socket" ]]\nerror("require \'socket\'")\n'],
    ['core/a.lua', "local bit, new = require 'bit', require('table.new')"],
    ['core/typed_array.lua', "local ffi = require 'ffi'"],
    ['core/a.lua', 'local t = { table = 1 } return t.table, t.require'],
  ])('nothing wrong in %s: %s', (path, source) => {
    expect(luaBreaches(new Map([[path, source]]))).toEqual([]);
  });

  test('a cycle', () => {
    const sources = new Map([
      ['core/a.lua', "require 'ebbgate.core.b'"],
      ['core/b.lua', "require 'ebbgate.core.a'"],
    ]);
    expect(cycles(luaGraph(sources))).toEqual(['ebbgate.core.a → ebbgate.core.b → ebbgate.core.a']);
  });
});

test('tokens keep their lines, and strings what is in them', () => {
  const tokens = luaTokens("--[[\n]] x = \"a--b\" -- c\n  .. 'd\\'' .. [[\ne]]\ny");
  expect(tokens.map(({ text, line }) => [text, line])).toEqual([
    ...[
      ['x', 2],
      ['=', 2],
      ['a--b', 2],
    ],
    ...[
      ['..', 3],
      ["d\\'", 3],
      ['..', 3],
      ['\ne', 3],
    ],
    ['y', 5],
  ]);
});

describe('luacheck', () => {
  /** Path below lua/ebbgate, source, and the name that luacheck must complain of; '' = of none. */
  const PROBES = [
    ['core/a.lua', 'return ngx.now()', 'ngx'],
    ['core/b.lua', "return 'a--b' .. ngx.now()", 'ngx'],
    ['core/picker/a.lua', "return math['random'](3)", 'random'],
    ['core/c.lua', 'local m = math return m.random(3)', 'random'],
    ['core/d.lua', 'math.randomseed(1)', 'randomseed'],
    ['core/e.lua', 'local c = os return c.time()', 'os'],
    ['core/f.lua', "return io.open('x')", 'io'],
    ['core/g.lua', 'return debug.getinfo(1)', 'debug'],
    ['core/h.lua', "return package.loaded['x']", 'package'],
    ['core/i.lua', "return loadstring('x')", 'loadstring'],
    ['core/j.lua', "return load('x')", 'load'],
    ['core/k.lua', "return dofile('x')", 'dofile'],
    ['core/l.lua', 'return _G.os', '_G'],
    ['core/m.lua', 'return getfenv(1)', 'getfenv'],
    ['core/n.lua', 'return coroutine.yield()', 'coroutine'],
    ['core/o.lua', 'return string.dump(error)', 'dump'],
    ['core/p.lua', 'state = 1', 'state'],
    ['core/q.lua', 'return math.floor(select("#", unpack({ 1 })) / 2), string.format("%d", 1)', ''],
    ['worker/a.lua', 'return ngx.var.uri', 'var.uri'],
    ['worker/follow/a.lua', 'local ngx = ngx return ngx.ctx', 'ctx'],
    ['worker/health/a.lua', 'return ngx.req.get_method()', 'req.get_method'],
    ['worker/b.lua', 'local at = ngx.now() return at', 'now'],
    ['worker/c.lua', 'ngx.update_time()', 'update_time'],
    ['worker/d.lua', 'ngx.log(ngx.ERR, math.random())', ''],
    ['worker/clock.lua', 'return ngx.now()', ''],
    ['phase/http/a.lua', 'local n, b = ngx.now, ngx.req.start_time return n, b', 'req.start_time'],
    ['phase/http/b.lua', 'return ngx.time()', 'time'],
    ['phase/http/c.lua', 'ngx.ctx = {} return ngx.var.uri', ''],
    ['phase/http/request_clock.lua', 'return ngx.req.start_time()', ''],
    ['init.lua', 'return os.time()', 'time'],
  ] as const;
  let output = '';

  beforeAll(() => {
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-luacheck-'));
    copyFileSync(join(ROOT, '.luacheckrc'), join(dir, '.luacheckrc'));
    for (const [path, source] of PROBES) {
      const file = join(dir, 'lua/ebbgate', path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${source}\n`);
    }
    const args = ['--no-color', '--codes', '--formatter', 'plain', 'lua'];
    const { stdout, error } = spawnSync('luacheck', args, { cwd: dir, encoding: 'utf8' });
    rmSync(dir, { recursive: true });
    if (error) throw error;
    output = stdout;
  });

  test.each(PROBES)('%s: %s → %s', (path, _source, name) => {
    const found = output.split('\n').filter((line) => line.startsWith(`lua/ebbgate/${path}:`));
    if (name === '') expect(found).toEqual([]);
    else expect(found.join('\n')).toMatch(new RegExp(`\\(W1[0-9]+\\).*'${name}'`));
  });
});
