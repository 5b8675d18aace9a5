// The chart itself, as SVG: band from min to max, line of means, limits, holes hatched with their
// cause, and a mark of at least four pixels on each bucket beyond a limit, whatever the zoom.

import { s } from './dom.js';
import { clockTime, t, word } from './i18n.js';
import { span, ticks } from './history.js';
import { POINTERS } from './gauge.js';

const LEFT = 52;
const RIGHT = 10;
const TICK_HALF = 18; // of a clock time's width
const TOP = 10;
const BOTTOM = 34;
const LANE = 6; // quality, below the plot

const MINUTE = 60e3;
const STEPS = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, 60 * MINUTE,
  120 * MINUTE, 180 * MINUTE, 240 * MINUTE, 360 * MINUTE, 720 * MINUTE, 1440 * MINUTE];
const ZONE = 8 * 60 * MINUTE;

const px = (n) => Math.round(n * 10) / 10;

export class Chart {
  constructor(model, width, height) {
    Object.assign(this, { model, width, height });
    this.bottom = height - BOTTOM;
    this.right = width - RIGHT;
    const { low, high } = span(model);
    Object.assign(this, { low, high });
    this.cursor = s('g', { class: 'cursor' });
    this.node = s('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true' },
      this.pattern(), this.axes(), this.holes(), model.runs.map((run) => this.run(run)),
      this.limits(), this.excursions(), this.lane(), this.cursor);
  }

  x(ms) {
    const part = (ms - this.model.from) / (this.model.to - this.model.from);
    return px(LEFT + Math.min(1, Math.max(0, part)) * (this.right - LEFT));
  }

  y(value) {
    return px(this.bottom - ((value - this.low) / (this.high - this.low)) * (this.bottom - TOP));
  }

  // Where a bucket stands: its middle.
  middle(bucket) { return this.x(bucket.ms + this.model.step / 2); }

  // The drawable bucket nearest to that x, or null.
  nearest(x) {
    let best = null;
    for (const bucket of this.model.buckets) {
      const off = Math.abs(this.middle(bucket) - x);
      if (!best || off < best.off) best = { bucket, off };
    }
    return best && best.bucket;
  }

  pattern() {
    return s('defs', {}, s('pattern', { id: 'hatch', width: 8, height: 8, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      s('line', { class: 'hatch-line', x1: 0, y1: 0, x2: 0, y2: 8 })));
  }

  axes() {
    const { from, to } = this.model;
    const most = Math.max(2, Math.floor((this.right - LEFT) / 80));
    const step = STEPS.find((n) => (to - from) / n <= most) || STEPS[STEPS.length - 1];
    const parts = [];
    for (let at = Math.ceil((from + ZONE) / step) * step - ZONE; at <= to; at += step) {
      // The last label stays within the picture.
      const last = this.x(at) > this.right - TICK_HALF;
      parts.push(s('line', { class: 'grid', x1: this.x(at), x2: this.x(at), y1: TOP, y2: this.bottom }),
        s('text', { class: 'tick', x: last ? this.right + RIGHT : this.x(at), y: this.height - 8, 'text-anchor': last ? 'end' : 'middle' },
          clockTime(at, false)));
    }
    for (const { value, text } of ticks(this.low, this.high, Math.max(2, Math.floor((this.bottom - TOP) / 45)))) {
      parts.push(s('line', { class: 'grid', x1: LEFT, x2: this.right, y1: this.y(value), y2: this.y(value) }),
        s('text', { class: 'tick', x: LEFT - 6, y: this.y(value) + 4, 'text-anchor': 'end' }, text));
    }
    parts.push(s('text', { class: 'tick', x: LEFT + 6, y: TOP + 14 }, this.model.unit));
    return s('g', {}, parts, s('rect', { class: 'frame', x: LEFT, y: TOP, width: this.right - LEFT, height: this.bottom - TOP }));
  }

  holes() {
    return s('g', {}, this.model.holes.map((hole) => {
      const x = this.x(hole.from);
      const width = Math.max(3, this.x(hole.to) - x);
      const why = word('cause', hole.cause) || word('quality', hole.quality);
      const text = [t('trend.missing'), why].filter(Boolean).join(' · ');
      return s('g', { class: 'hole', 'data-cause': hole.cause || hole.quality || 'missing' },
        s('rect', { x, y: TOP, width, height: this.bottom - TOP, fill: 'url(#hatch)' }, s('title', {}, text)),
        this.holeText(text, x + width / 2, width));
    }));
  }

  // Across where there is room, upright in a narrow hole, only as a tooltip in a very narrow one.
  holeText(text, x, width) {
    if (width < 18) return null;
    const y = (TOP + this.bottom) / 2;
    const across = width > 14 * text.length;
    return s('text', { class: 'hole-text', x, y, 'text-anchor': 'middle', transform: across ? null : `rotate(-90 ${px(x)} ${px(y)}) translate(0 4)` }, text);
  }

  run(run) {
    const forth = run.map((b) => `${this.middle(b)},${this.y(b.max)}`);
    const back = run.map((b) => `${this.middle(b)},${this.y(b.min)}`).reverse();
    if (run.length === 1) {
      const x = this.middle(run[0]);
      return s('line', { class: 'single', x1: x, x2: x, y1: this.y(run[0].max) - 1, y2: this.y(run[0].min) + 1 });
    }
    return s('g', {},
      s('polygon', { class: 'band', points: forth.concat(back).join(' ') }),
      s('polyline', { class: 'mean', points: run.map((b) => `${this.middle(b)},${this.y(b.mean)}`).join(' ') }));
  }

  limits() {
    return s('g', {}, this.model.limits.filter((l) => l.at > this.low && l.at < this.high).map((limit) => s('g', {},
      s('line', { class: `limit-line p${limit.prio}`, x1: LEFT, x2: this.right, y1: this.y(limit.at), y2: this.y(limit.at) }),
      s('text', { class: 'limit-text', x: this.right - 4, y: this.y(limit.at) + (limit.side === 'high' ? -4 : 13), 'text-anchor': 'end' },
        `${limit.side === 'high' ? '>' : '<'} ${limit.at} · P${limit.prio}`))));
  }

  excursions() {
    const wide = Math.max(4, px(this.model.step / (this.model.to - this.model.from) * (this.right - LEFT)));
    return s('g', {}, this.model.buckets.filter((b) => b.limit).map((b) => {
      const extreme = this.y(b.limit.side === 'high' ? b.max : b.min);
      const limit = this.y(b.limit.at);
      const top = Math.min(extreme, limit);
      return s('rect', { class: `excursion p${b.limit.prio}`, x: this.middle(b) - wide / 2, y: top, width: wide, height: Math.max(6, Math.abs(extreme - limit)) });
    }), this.heads());
  }

  // The priority's shape on the worst bucket of each excursion.
  heads() {
    const worst = [];
    const further = (a, b) => a.limit.prio < b.limit.prio || (a.limit.prio === b.limit.prio &&
      (a.limit.side === 'high' ? a.max > b.max : a.min < b.min));
    let last = null;
    for (const bucket of this.model.buckets) {
      if (bucket.limit && last && last.limit) {
        if (further(bucket, worst[worst.length - 1])) worst[worst.length - 1] = bucket;
      } else if (bucket.limit) worst.push(bucket);
      last = bucket;
    }
    return worst.map((b) => s('path', { class: `excursion p${b.limit.prio}`, d: POINTERS[b.limit.prio],
      transform: `translate(${this.middle(b)} ${this.y(b.limit.side === 'high' ? b.max : b.min)})` }));
  }

  // What is not good, bucket by bucket, and gaps that are shorter than a bucket.
  lane() {
    const y = this.bottom + 3;
    const bad = this.model.all.filter((b) => b.quality && b.quality !== 'good').map((b) => [b.ms, b.ms + this.model.step, b.quality]);
    const gaps = this.model.gaps.map((g) => [g.from, g.to, 'bad']);
    return s('g', {}, [...bad, ...gaps].map(([from, to, quality]) => s('rect', {
      class: `lane ${quality}`, x: this.x(from), y, width: Math.max(3, this.x(to) - this.x(from)), height: LANE,
    })));
  }

  setCursor(bucket) {
    if (!bucket) { this.cursor.replaceChildren(); return; }
    const x = this.middle(bucket);
    this.cursor.replaceChildren(
      s('line', { x1: x, x2: x, y1: TOP, y2: this.bottom }),
      s('circle', { cx: x, cy: this.y(bucket.mean), r: 4 }));
  }
}
