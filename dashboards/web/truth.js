// What may be believed of a value now. Pure: takes the value, its point and the time. The browser
// judges staleness again by itself, because silence is never good news.

const LEAST_STALE_MS = 15000;
// A stamp this far ahead of the centre's clock means that one of the two clocks is wrong.
const AHEAD_MS = 10000;

const KNOWN = new Set(['good', 'uncertain', 'stale', 'bad', 'manual']);

export const staleAfter = (point) =>
  Math.max(3 * (point && point.interval_ms > 0 ? point.interval_ms : 0), LEAST_STALE_MS);

// {quality, cause, age (seconds, NaN when never seen), value}
export function judge(point, latest, now, live) {
  if (!latest) return { quality: 'stale', cause: 'never_seen', age: NaN, value: null };
  const late = now - latest.ms;
  const age = Number.isFinite(late) ? Math.max(0, late / 1000) : NaN;
  const empty = latest.value === null || latest.value === undefined;
  let quality = KNOWN.has(latest.quality) ? latest.quality : 'bad';
  let cause = latest.cause && latest.cause !== 'none' ? latest.cause : '';
  if (empty && (quality === 'good' || quality === 'uncertain' || quality === 'manual')) quality = 'bad';
  if (quality !== 'bad' && quality !== 'stale') {
    if (!live) {
      quality = 'stale';
      cause = 'page_lost';
    } else if (!(late <= staleAfter(point))) {
      quality = 'stale';
      cause = 'no_update';
    } else if (late < -AHEAD_MS && quality === 'good') {
      quality = 'uncertain';
      cause = 'clock';
    }
  }
  if (quality !== 'good' && cause === '') cause = 'unknown';
  return { quality, cause, age, value: empty ? null : latest.value };
}

export const believable = (quality) => quality === 'good' || quality === 'uncertain' || quality === 'manual';
