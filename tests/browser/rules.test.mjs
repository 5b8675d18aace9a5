// The page's pure rules, without a browser: what may be believed, what is a hole, how figures are
// written.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Node 18 takes a .js file for a module only where a package.json says so; the pages have none.
const WEB = `${mkdtempSync(join(tmpdir(), 'web-'))}/`;
cpSync(fileURLToPath(new URL('../../dashboards/web/', import.meta.url)), WEB, { recursive: true });
writeFileSync(join(WEB, 'package.json'), '{"type":"module"}');
after(() => rmSync(WEB, { recursive: true }));
let truth;
let history;
let limits;
let i18n;

before(async () => {
  // The language is taken from the document and the browser: as much of them as that needs.
  globalThis.document = { documentElement: {} };
  Object.defineProperty(globalThis, 'navigator', { value: { language: 'zh-CN' }, configurable: true });
  truth = await import(`${WEB}truth.js`);
  history = await import(`${WEB}history.js`);
  limits = await import(`${WEB}limits.js`);
  i18n = await import(`${WEB}i18n.js`);
});

const T0 = Date.parse('2026-01-05T00:00:00Z');
const point = { id: 'a.b.c', interval_ms: 1000 };
const judge = (latest, late, live = true, p = point) => {
  const { quality, cause } = truth.judge(p, latest && { ms: T0, value: 1, quality: 'good', cause: null, ...latest }, T0 + late, live);
  return [quality, cause];
};

test('a value is stale beyond three intervals, at least 15 s', () => {
  assert.deepEqual(judge({}, 15000), ['good', '']);
  assert.deepEqual(judge({}, 15001), ['stale', 'no_update']);
  assert.deepEqual(judge({}, 29000, true, { interval_ms: 10000 }), ['good', '']);
  assert.deepEqual(judge({}, 30001, true, { interval_ms: 10000 }), ['stale', 'no_update']);
});

test('nothing is good that cannot be known to be good', () => {
  assert.deepEqual(judge(null, 0), ['stale', 'never_seen']);
  assert.deepEqual(judge({}, 0, false), ['stale', 'page_lost']);
  assert.deepEqual(judge({ value: null }, 0), ['bad', 'unknown']);
  assert.deepEqual(judge({ quality: 'splendid' }, 0), ['bad', 'unknown']);
  assert.deepEqual(judge({ ms: NaN }, 0), ['stale', 'no_update']);
  assert.deepEqual(judge({}, -11000), ['uncertain', 'clock']);
});

test('bad stays bad, and keeps its cause, whatever happens to the page', () => {
  assert.deepEqual(judge({ quality: 'bad', cause: 'sensor_fault' }, 99000, false), ['bad', 'sensor_fault']);
});

const reply = (seconds, more = {}) => ({
  unit: 'm', from: '2026-01-05T00:00:00Z', to: '2026-01-05T00:01:00Z', step_ms: 1000, gaps: [],
  buckets: seconds.map((n) => ({ t: new Date(T0 + n * 1000).toISOString(), min: n, mean: n, max: n, count: 1, quality: 'good' })), ...more,
});
const all = Array.from({ length: 60 }, (_, n) => n);
const prepare = (r, now = T0 + 60000, l = []) => history.prepare(r, point, l, now);

test('a full minute has one run and no hole', () => {
  const model = prepare(reply(all));
  assert.equal(model.runs.length, 1);
  assert.deepEqual(model.holes, []);
});

test('a hole is never joined, and has the ledger\'s cause', () => {
  const gaps = [{ from: new Date(T0 + 20000).toISOString(), to: new Date(T0 + 30000).toISOString(), cause: 'link_down' }];
  const model = prepare(reply(all.filter((n) => n < 20 || n >= 30), { gaps }));
  assert.equal(model.runs.length, 2);
  assert.deepEqual(model.holes, [{ from: T0 + 20000, to: T0 + 30000, cause: 'link_down', quality: '' }]);
});

test('buckets of bad samples are a hole that says bad', () => {
  const r = reply(all);
  for (let n = 20; n < 30; n++) Object.assign(r.buckets[n], { min: null, mean: null, max: null, quality: 'bad' });
  const model = prepare(r);
  assert.deepEqual(model.holes.map((h) => [h.from, h.to, h.quality]), [[T0 + 20000, T0 + 30000, 'bad']]);
});

test('an extreme beside a bad sample is still drawn', () => {
  const r = reply(all);
  Object.assign(r.buckets[20], { max: 99, quality: 'stale' });
  const model = prepare(r, T0 + 60000, [{ at: 90, prio: 1, side: 'high' }]);
  assert.equal(model.buckets.filter((b) => b.limit).length, 1);
  assert.equal(model.holes.length, 0);
});

test('the live end is no hole before it is stale; the future never is', () => {
  const r = reply(all.filter((n) => n < 10));
  assert.equal(prepare(r, T0 + 20000).holes.length, 0);
  assert.deepEqual(prepare(r, T0 + 40000).holes.map((h) => [h.from, h.to]), [[T0 + 10000, T0 + 40000]]);
});

test('no data at all is one hole', () => {
  assert.equal(prepare(reply([])).holes.length, 1);
});

test('the most severe limit beyond counts, on either side', () => {
  const list = limits.limitsOf([
    { kind: 'high', limits: [{ at: 10, priority: 'high' }, { at: 20, priority: 'critical' }] },
    { kind: 'low', limits: [{ at: 2, priority: 'low' }] }, { kind: 'rate_rising', limits: [{ at: 1, priority: 'critical' }] },
  ]);
  assert.equal(list.length, 3);
  assert.equal(limits.beyond(list, 10), null);
  assert.equal(limits.beyond(list, 11).prio, 2);
  assert.equal(limits.beyond(list, 21).prio, 1);
  assert.equal(limits.beyond(list, 1).prio, 3);
  const scale = limits.scaleOf(list);
  assert.ok(scale.from < 2 && scale.to > 20 && scale.low === 2 && scale.high === 10);
});

test('times are UTC+8 in 24 hours', () => {
  assert.equal(i18n.clockTime(T0), '08:00:00');
  assert.equal(i18n.dateTime(T0 + 17 * 3600e3, T0), '2026-01-06 01:00:00');
  assert.equal(i18n.duration(26 * 3600e3 + 61e3), '1 天 02:01:01');
});

test('figures keep four places; whole numbers of whole types stay whole', () => {
  assert.deepEqual([61.79999923, 7.4, 131.25, 40231.6, 0.00001].map((n) => i18n.number(n, 'float32')),
    ['61.80', '7.400', '131.3', '40232', '1.000e-5']);
  assert.equal(i18n.number(88, 'uint16'), '88');
  const memory = {};
  assert.deepEqual([13.9, 14, 13.25, 14].map((n) => i18n.number(n, 'int16', memory)), ['13.9', '14.0', '13.25', '14.00']);
  assert.equal(i18n.number(12345678.4, 'float64'), '12345678');
  assert.equal(i18n.number(1, 'bit'), '是');
});

test('a description in both languages shows the reader\'s', () => {
  assert.equal(i18n.pointName({ id: 'a.b.cod', name: 'chemical oxygen demand 出水 COD' }), '出水 COD');
  assert.equal(i18n.pointName({ id: 'a.b.cod', name: 'cod' }), 'COD');
  assert.equal(i18n.pointName({ id: 'a.b.h2s', name: 'hydrogen sulphide 硫化氢' }), '硫化氢');
  assert.equal(i18n.pointName({ id: 'a.b.zz', name: 'pump 2 current' }), 'pump 2 current');
});
