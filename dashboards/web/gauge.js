// A bar that shows where a value stands between its limits: the normal range, a tick per limit,
// and a pointer that takes the priority's shape when it is beyond one.

import { s, setAttribute } from './dom.js';
import { beyond, scaleOf } from './limits.js';

const WIDTH = 120;
export const POINTERS = { // centred on 0,0; the same shapes as the symbols
  0: 'M-6,-8 L6,-8 L0,1 Z',
  1: 'M-2.5,-6 L2.5,-6 L6,-2.5 L6,2.5 L2.5,6 L-2.5,6 L-6,2.5 L-6,-2.5 Z',
  2: 'M0,-7 L7,6 L-7,6 Z',
  3: 'M0,-7 L7,0 L0,7 L-7,0 Z',
  4: 'M0,-6 A6,6 0 1 1 -0.1,-6 Z',
};

export class Gauge {
  constructor() {
    this.node = s('svg', { class: 'gauge', viewBox: `-8 0 ${WIDTH + 16} 20`, 'aria-hidden': 'true' });
    this.limits = [];
  }

  // Draws the fixed part anew.
  setLimits(limits) {
    const key = JSON.stringify(limits);
    if (key === this.key) return;
    this.key = key;
    this.limits = limits;
    this.scale = scaleOf(limits);
    this.pointer = s('path', { class: 'pointer' });
    const parts = [];
    if (this.scale) {
      const low = this.x(this.scale.low);
      const high = this.x(this.scale.high);
      parts.push(
        s('rect', { class: 'scale', x: 0, y: 8, width: WIDTH, height: 6 }),
        s('rect', { class: 'normal', x: low, y: 8, width: Math.max(0, high - low), height: 6 }),
        limits.map((limit) => s('line', {
          class: `limit p${limit.prio}`, x1: this.x(limit.at), x2: this.x(limit.at), y1: 5, y2: 17,
        })),
        this.pointer);
    }
    this.node.replaceChildren(...parts.flat());
  }

  x(value) {
    const part = (value - this.scale.from) / (this.scale.to - this.scale.from);
    return Math.round(Math.min(1, Math.max(0, part)) * WIDTH * 10) / 10;
  }

  // Without a number that may be believed there is no pointer at all.
  show(value) {
    const drawable = this.scale && typeof value === 'number' && Number.isFinite(value);
    setAttribute(this.node, 'class', drawable ? 'gauge' : 'gauge empty');
    if (!drawable) return;
    const limit = beyond(this.limits, value);
    const prio = limit ? limit.prio : 0;
    setAttribute(this.pointer, 'class', prio ? `pointer p${prio}` : 'pointer');
    setAttribute(this.pointer, 'd', POINTERS[prio]);
    setAttribute(this.pointer, 'transform', `translate(${this.x(value)} ${prio ? 11 : 8})`);
  }
}
