// The view in the address: #p=POINT&r=1h&to=2026-01-05T08:00:00Z. A link shows the same thing to
// whoever opens it; without `to` the trend follows the time.

export const RANGES = { '5min': 300e3, '1h': 3600e3, '8h': 8 * 3600e3, '24h': 24 * 3600e3 };

export function readRoute(hash = location.hash) {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const range = params.get('r');
  const to = Date.parse(params.get('to') || '');
  return {
    point: params.get('p') || '',
    range: range !== null && Object.hasOwnProperty.call(RANGES, range) ? range : '1h',
    to: Number.isFinite(to) ? to : null,
  };
}

export function writeRoute({ point, range, to }) {
  if (!point) return '#';
  const params = new URLSearchParams({ p: point, r: range || '1h' });
  if (to) params.set('to', new Date(to).toISOString());
  return `#${params}`;
}
