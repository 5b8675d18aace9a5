// The trend of one point: range buttons, the chart with its cursor, the readout, the table twin.
// Its state is the address; it reads the history again as time goes on.

import { h, setAttribute, setText, table } from './dom.js';
import { clockTime, date, dateTime, duration, number, pointName, siteName, t, word } from './i18n.js';
import { get } from './api.js';
import { Chart } from './chart.js';
import { prepare } from './history.js';
import { limitsOf } from './limits.js';
import { RANGES, writeRoute } from './route.js';

const HEIGHT = 280;

export class Trend {
  constructor(store, route) {
    Object.assign(this, { store, route });
    this.at = null; // the bucket under the cursor, by its time; null: the newest
    this.title = h('h2', { id: 'trend-title' });
    this.controls = h('div', { class: 'trend-controls' });
    this.status = h('p', { class: 'trend-status', role: 'status' });
    this.plot = h('div', { class: 'plot', tabindex: 0, role: 'slider', 'aria-valuemin': 0, 'aria-valuenow': 0, on: {
      keydown: (event) => this.key(event),
      pointerenter: (event) => this.point(event), pointermove: (event) => this.point(event), pointerdown: (event) => this.point(event),
    } });
    this.readout = h('p', { class: 'readout' });
    this.twin = h('details', { class: 'twin', on: { toggle: () => this.drawTable() } }, h('summary', {}, t('trend.table')));
    this.node = h('section', { class: 'trend', 'aria-labelledby': 'trend-title' },
      this.title, this.controls, this.status, this.readout, this.plot, this.twin);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.plot);
    this.off = store.on('points', () => this.head());
    this.head();
  }

  release() {
    this.off();
    this.resize.disconnect();
    clearTimeout(this.timer);
    this.released = true;
  }

  setRoute(route) {
    const other = this.route.point !== route.point;
    this.route = route;
    if (other) this.reply = null;
    this.at = null;
    this.head();
    this.load();
  }

  head() {
    const { point: id, range, to } = this.route;
    const point = this.store.points.get(id);
    setText(this.title, point ? `${siteName(point.site)} › ${pointName(point)}` : id);
    this.title.title = id;
    setAttribute(this.plot, 'aria-label', t('trend.chart', { name: point ? pointName(point) : id }));
    const end = to || this.store.now();
    const link = (text, target, pressed, name) => h('a', {
      class: 'button', href: writeRoute({ point: id, range, ...target }), 'aria-current': pressed ? 'true' : null, 'aria-label': name,
    }, text);
    const later = end + RANGES[range] / 2;
    this.controls.replaceChildren(
      h('div', { class: 'group', role: 'group', 'aria-label': t('trend.range') },
        Object.keys(RANGES).map((key) => link(t(`range.${key}`), { range: key, to }, key === range))),
      h('div', { class: 'group' },
        link('◀', { to: end - RANGES[range] / 2 }, false, t('trend.earlier')),
        link('▶', { to: later < this.store.now() ? later : null }, false, t('trend.later')),
        link(t('trend.live'), { to: null }, to === null)),
      h('a', { class: 'button close', href: '#', 'aria-label': t('trend.close') }, '✕'));
  }

  // Reads the history; called once the place for the chart is in the document. The newest request wins; an answer that comes late is thrown away.
  async load() {
    clearTimeout(this.timer);
    const turn = (this.turn || 0) + 1;
    this.turn = turn;
    const { point: id, range, to } = this.route;
    const end = to || this.store.now();
    const width = Math.round(Math.min(600, Math.max(60, (this.plot.clientWidth || 600) / 2)));
    const query = new URLSearchParams({
      from: new Date(end - RANGES[range]).toISOString(), to: new Date(end).toISOString(), width,
    });
    try {
      const reply = await get(`points/${encodeURIComponent(id)}/history?${query}`);
      if (this.released || turn !== this.turn) return;
      this.reply = reply;
      this.readAt = this.store.now();
      this.failure = '';
    } catch (failure) {
      if (this.released || turn !== this.turn) return;
      this.failure = failure.why || failure.message;
    }
    this.draw();
    if (to === null) {
      this.timer = setTimeout(() => this.load(), Math.min(60e3, Math.max(2000, RANGES[range] / 300)));
    }
  }

  draw() {
    const width = this.plot.clientWidth;
    const said = [];
    if (this.failure) said.push(t('trend.failed', { why: this.failure }));
    if (!this.reply || width < 50) {
      setText(this.status, said.join(' · '));
      if (!this.reply) { this.plot.replaceChildren(); setText(this.readout, ''); }
      return;
    }
    this.pointInfo = this.store.points.get(this.route.point) || {};
    const limits = limitsOf(this.store.alarmsOf(this.route.point));
    this.model = prepare(this.reply, this.pointInfo, limits, this.readAt);
    this.chart = new Chart(this.model, width, HEIGHT);
    this.plot.replaceChildren(this.chart.node);
    if (this.failure || !this.store.live()) said.push(t('trend.old', { time: clockTime(this.readAt) }));
    const out = this.model.buckets.filter((bucket) => bucket.limit).length;
    said.push(`${date(this.model.from)} ${clockTime(this.model.from)} – ${dateTime(this.model.to, this.model.from)}`,
      t('trend.step', { step: this.model.step < 60e3 ? `${this.model.step / 1000} s` : duration(this.model.step) }));
    if (out > 0) said.push(t('trend.excursions', { n: out }));
    if (this.model.buckets.length === 0) said.push(t('trend.empty'));
    setText(this.status, said.join(' · '));
    this.move(0);
    this.drawTable();
  }

  index() {
    const list = this.model.buckets;
    if (this.at === null) return list.length - 1;
    let best = 0;
    for (let n = 1; n < list.length; n++) {
      if (Math.abs(list[n].ms - this.at) < Math.abs(list[best].ms - this.at)) best = n;
    }
    return best;
  }

  // Moves the cursor by that many buckets and reads them out.
  move(by) {
    const list = this.model ? this.model.buckets : [];
    if (list.length === 0) {
      setText(this.readout, t('trend.empty'));
      setAttribute(this.plot, 'aria-valuetext', t('trend.empty'));
      return;
    }
    const n = Math.min(list.length - 1, Math.max(0, this.index() + by));
    if (by !== 0) this.at = n === list.length - 1 ? null : list[n].ms;
    const bucket = list[n];
    this.chart.setCursor(bucket);
    const unit = this.reply.unit || '';
    const text = [dateTime(bucket.ms, this.store.now()),
      ...['min', 'mean', 'max'].map((key) => `${t(`col.${key}`)} ${number(bucket[key])}`),
      `${unit}`, word('quality', bucket.quality), `n=${bucket.count}`,
      bucket.limit ? `${bucket.limit.side === 'high' ? '>' : '<'} ${bucket.limit.at} (P${bucket.limit.prio})` : '',
    ].filter(Boolean).join('   ');
    setText(this.readout, text);
    setAttribute(this.plot, 'aria-valuemax', list.length - 1);
    setAttribute(this.plot, 'aria-valuenow', n);
    setAttribute(this.plot, 'aria-valuetext', text);
  }

  key(event) {
    const big = event.shiftKey ? 10 : 1;
    const by = { ArrowLeft: -big, ArrowRight: big, ArrowDown: -big, ArrowUp: big, PageDown: -10, PageUp: 10, Home: -1e6, End: 1e6 }[event.key];
    if (by === undefined || event.isComposing || !this.model) return;
    event.preventDefault();
    this.move(by);
  }

  point(event) {
    // A page that moves under a resting mouse sends events too: only a moved one takes the cursor.
    const place = `${event.clientX},${event.clientY}`;
    const rests = event.type === 'pointerenter' || (event.type === 'pointermove' && place === this.pointer);
    this.pointer = place;
    if (!this.chart || rests) return;
    const bucket = this.chart.nearest(event.clientX - this.plot.getBoundingClientRect().left);
    if (!bucket) return;
    this.at = bucket === this.model.buckets[this.model.buckets.length - 1] ? null : bucket.ms;
    this.move(0);
  }

  drawTable() {
    const old = this.twin.querySelector('.scroll');
    const top = old ? old.scrollTop : 0;
    if (old) old.remove();
    if (!this.twin.open || !this.model) return;
    const cell = (value) => (Number.isFinite(value) ? number(value) : '—');
    const next = table(t('trend.table'), ['time', 'min', 'mean', 'max', 'count', 'quality'].map((key) => t(`col.${key}`)),
      this.model.all.map((b) => {
        const known = b.count > 0 && this.model.buckets.some((x) => x.ms === b.ms);
        return { cells: [`${date(b.ms)} ${clockTime(b.ms)}`, known ? cell(b.min) : '—', known ? cell(b.mean) : '—',
          known ? cell(b.max) : '—', String(b.count), word('quality', b.quality)] };
      }));
    this.twin.append(next);
    next.scrollTop = top;
  }
}
