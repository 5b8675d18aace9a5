// Turns the buckets of the centre into what a chart may draw: runs of neighbouring buckets, and
// the holes between them with their causes. Pure. A hole is never joined by a line.

import { beyond } from './limits.js';
import { staleAfter } from './truth.js';

// Figures come from good and uncertain samples only; one bad sample beside them hides no extreme.
const usable = (bucket) => bucket.count > 0 && Number.isFinite(bucket.mean) &&
  Number.isFinite(bucket.min) && Number.isFinite(bucket.max);

export function prepare(reply, point, limits, now) {
  const from = Date.parse(reply.from);
  const to = Date.parse(reply.to);
  const step = reply.step_ms > 0 ? reply.step_ms : Math.max(1, to - from);
  const end = Math.min(to, now); // what is not there yet at the live end is no hole before it is stale
  const interval = point && point.interval_ms > 0 ? point.interval_ms : 1000;
  const all = (reply.buckets || []).map((b) => ({ ...b, ms: Date.parse(b.t) }))
    .filter((b) => Number.isFinite(b.ms)).sort((a, b) => a.ms - b.ms);
  const gaps = (reply.gaps || []).map((g) => ({ from: Date.parse(g.from), to: Date.parse(g.to), cause: g.cause }))
    .filter((g) => g.to > from && g.from < to && !(g.to >= end && end - g.from <= staleAfter(point)));
  const buckets = all.filter(usable).map((b) => ({ ...b, limit: beyond(limits, b.max) || beyond(limits, b.min) }));

  const runs = [];
  const holes = [];
  // Why nothing was drawn there: the ledger knows best, then the quality of what came.
  const hole = (a, b) => {
    const gap = gaps.find((g) => g.to > a && g.from < b);
    const bad = all.find((x) => !usable(x) && x.count > 0 && x.ms + step > a && x.ms < b);
    holes.push({ from: Math.max(a, from), to: Math.min(b, to), cause: gap ? gap.cause : '', quality: bad ? bad.quality : '' });
  };
  const widest = Math.max(1.5 * step, 3 * interval);
  let last = null;
  for (const bucket of buckets) {
    if (last === null && bucket.ms - from > widest) hole(from, bucket.ms);
    if (last === null || bucket.ms - last.ms > widest) {
      if (last !== null) hole(last.ms + step, bucket.ms);
      runs.push([]);
    }
    runs[runs.length - 1].push(bucket);
    last = bucket;
  }
  if (last === null) hole(from, end);
  else if (end - (last.ms + step) > Math.max(widest, staleAfter(point))) hole(last.ms + step, end);
  return { unit: reply.unit || '', from, to, step, interval, buckets, all, runs, holes, gaps, limits };
}

// Figures for an axis: 1, 2 or 5 times a power of ten, `most` of them at the most.
export function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const list = [];
  for (let n = Math.ceil(low / step); n * step <= high && list.length < 20; n++) list.push(n * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return list.map((value) => ({ value, text: value.toFixed(Math.min(decimals, 6)) }));
}

// From the lowest to the highest figure, with those limits that do not squash the curve.
export function span(model) {
  let low = Infinity;
  let high = -Infinity;
  for (const bucket of model.buckets) {
    low = Math.min(low, bucket.min);
    high = Math.max(high, bucket.max);
  }
  if (low > high) { low = 0; high = 1; }
  const room = Math.max(high - low, Math.abs(high) * 0.02, 1e-9);
  for (const limit of model.limits) {
    if (limit.at >= low - 3 * room && limit.at <= high + 3 * room) {
      low = Math.min(low, limit.at);
      high = Math.max(high, limit.at);
    }
  }
  const margin = Math.max((high - low) * 0.08, room * 0.05);
  return { low: low - margin, high: high + margin };
}
