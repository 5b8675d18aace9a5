// Limits of a point, gathered from its alarms, and what a value is to them.

import { prioNumber } from './symbols.js';

// [{at, prio, side: 'high' | 'low'}], least severe first on each side.
export function limitsOf(alarms) {
  const limits = [];
  for (const alarm of alarms) {
    if (alarm.kind !== 'high' && alarm.kind !== 'low') continue;
    for (const limit of alarm.limits || []) {
      if (Number.isFinite(limit.at)) {
        limits.push({ at: limit.at, prio: prioNumber(limit.priority), side: alarm.kind });
      }
    }
  }
  return limits.sort((a, b) => b.prio - a.prio);
}

// The most severe limit that lies beyond `value`, or null.
export function beyond(limits, value) {
  let worst = null;
  for (const limit of limits) {
    if (limit.side === 'high' ? value > limit.at : value < limit.at) {
      if (!worst || limit.prio < worst.prio) worst = limit;
    }
  }
  return worst;
}

// The span that a bar shows, with the normal range well inside it.
export function scaleOf(limits) {
  const highs = limits.filter((l) => l.side === 'high').map((l) => l.at);
  const lows = limits.filter((l) => l.side === 'low').map((l) => l.at);
  if (highs.length === 0 && lows.length === 0) return null;
  const ends = [...highs, ...lows];
  let from = Math.min(...ends, highs.length > 0 && Math.min(...highs) > 0 ? 0 : Infinity);
  let to = Math.max(...ends);
  if (lows.length === 0 && from === to) from = to - Math.abs(to || 1);
  if (highs.length === 0) to += Math.max(...lows.map(Math.abs), 1);
  const margin = (to - from) * 0.25 || 1;
  if (lows.length > 0 && highs.length > 0) from = Math.min(...lows) - margin;
  else if (lows.length > 0) from = Math.min(...lows) - margin;
  to += highs.length > 0 ? margin : 0;
  return {
    from, to,
    low: lows.length > 0 ? Math.max(...lows) : from,
    high: highs.length > 0 ? Math.min(...highs) : to,
  };
}
