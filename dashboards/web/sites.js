// The overview: a card for each site, a line for each point. A line is a link to the point's trend
// and carries the DOM contract: data-point, data-value, data-quality, data-age.

import { h, setAttribute, setText } from './dom.js';
import { age, clockTime, number, pointName, siteName, t, word } from './i18n.js';
import { Gauge } from './gauge.js';
import { limitsOf } from './limits.js';
import { lookOf, prioNumber, symbol } from './symbols.js';
import { believable } from './truth.js';

class Line {
  constructor(store, point, href) {
    Object.assign(this, { store, point });
    this.gauge = new Gauge();
    this.mark = h('span', { class: 'mark' });
    this.number = h('span', { class: 'number' });
    this.unit = h('span', { class: 'unit' }, point.unit || '');
    this.note = h('span', { class: 'note' });
    this.node = h('a', { class: 'line', href, 'data-point': point.id, title: point.id },
      h('span', { class: 'label' }, h('span', { class: 'name' }, pointName(point)), this.mark),
      h('span', { class: 'reading' }, this.number, ' ', this.unit),
      this.gauge.node, this.note);
    this.alarmsChanged();
  }

  alarmsChanged() {
    const alarms = this.store.alarmsOf(this.point.id);
    this.gauge.setLimits(limitsOf(alarms));
    const worst = worstOf(alarms.filter((alarm) => alarm.state !== 'normal'));
    const key = worst ? `${worst.priority} ${worst.state}` : '';
    if (key !== this.markKey) {
      this.markKey = key;
      this.mark.replaceChildren(...(worst ? [symbol(prioNumber(worst.priority), lookOf(worst.state))] : []));
    }
  }

  // Returns whether the value may be believed fully.
  update() {
    const { quality, cause, age: seconds, value } = this.store.judge(this.point.id);
    const node = this.node;
    setAttribute(node, 'data-value', value === null ? '' : value);
    setAttribute(node, 'data-quality', quality);
    setAttribute(node, 'data-age', Number.isFinite(seconds) ? seconds.toFixed(1) : '');
    // A bad reading stands in brackets, so that it never looks like a good one, copied or printed.
    const text = value === null ? '—' : number(value, this.point.type, this);
    setText(this.number, quality === 'bad' && value !== null ? `(${text})` : text);
    setText(this.note, this.noteOf(quality, cause, seconds));
    this.gauge.show(believable(quality) ? value : null);
    return quality === 'good';
  }

  noteOf(quality, cause, seconds) {
    const parts = [];
    if (quality !== 'good') parts.push(word('quality', quality), word('cause', cause));
    if (quality === 'bad') {
      const last = this.store.lastGood(this.point.id);
      if (last) {
        parts.push(t('last', { value: number(last.value, this.point.type, this), time: clockTime(last.ms) }));
      }
    }
    parts.push(age(seconds));
    return parts.filter((part) => part !== '').join(' · ');
  }
}

const worstOf = (alarms) => alarms.reduce((worst, alarm) =>
  (!worst || prioNumber(alarm.priority) < prioNumber(worst.priority) ? alarm : worst), null);

// Where a site has several units, each has its name above its points.
function byUnit(lines) {
  const units = new Map();
  for (const line of lines) {
    const unit = line.point.id.split('.').at(-2) || '';
    if (!units.has(unit)) units.set(unit, []);
    units.get(unit).push(line.node);
  }
  if (units.size < 2) return [...units.values()].flat();
  return [...units].flatMap(([unit, nodes]) => [h('h4', {}, word('unit', unit)), ...nodes]);
}

class Card {
  constructor(store, site, points, hrefOf) {
    Object.assign(this, { store, site });
    this.lines = points.map((point) => new Line(store, point, hrefOf(point.id)));
    this.mark = h('span', { class: 'mark' });
    this.state = h('span', { class: 'state' });
    this.node = h('section', { class: 'card', 'data-site': site, 'aria-label': siteName(site) },
      h('h3', {}, this.mark, h('span', { class: 'site-name' }, siteName(site)), this.state),
      byUnit(this.lines));
    this.alarmsChanged();
  }

  alarmsChanged() {
    const mine = new Set(this.lines.map((line) => line.point.id));
    const worst = worstOf(this.store.activeAlarms().filter((alarm) => mine.has(alarm.point)));
    const key = worst ? `${worst.priority} ${worst.state}` : '';
    if (key === this.markKey) return;
    this.markKey = key;
    setAttribute(this.node, 'class', worst ? `card edged p${prioNumber(worst.priority)}` : 'card');
    this.mark.replaceChildren(...(worst ? [symbol(prioNumber(worst.priority), lookOf(worst.state))] : []));
  }

  // Says the worst first: a silent edge, then values that are not good.
  summarise(notGood) {
    const edges = this.store.edges.filter((edge) => edge.site === this.site && edge.state !== 'up');
    const parts = edges.map((edge) => t('site.edge', { edge: edge.edge, state: word('edge', edge.state) }));
    if (notGood > 0) parts.push(t('site.trouble', { n: notGood }));
    setAttribute(this.state, 'class', parts.length > 0 ? 'state wrong' : 'state');
    setText(this.state, parts.join(' · ') || t('site.points', { n: this.lines.length }));
  }
}

export class Sites {
  // hrefOf(point id): where its trend is.
  constructor(store, hrefOf) {
    Object.assign(this, { store, hrefOf });
    this.grid = h('div', { class: 'cards' });
    this.node = h('section', { 'aria-label': t('sites') }, this.grid);
    this.off = [
      store.on('points', () => this.build()),
      store.on('values', () => this.ask()),
      store.on('alarms', (changed) => this.alarmsChanged(changed)),
      store.on('all', () => this.alarmsChanged(null)),
    ];
    this.build();
  }

  release() {
    for (const off of this.off) off();
    cancelAnimationFrame(this.frame);
  }

  build() {
    const bySite = new Map();
    for (const point of this.store.points.values()) {
      if (!bySite.has(point.site)) bySite.set(point.site, []);
      bySite.get(point.site).push(point);
    }
    // By name, not by who was heard first: the same thing stays in the same place after a restart.
    const sorted = [...bySite].sort(([a], [b]) => (a < b ? -1 : 1));
    this.cards = sorted.map(([site, points]) => new Card(this.store, site, points, this.hrefOf));
    this.lines = new Map(this.cards.flatMap((card) => card.lines.map((line) => [line.point.id, line])));
    this.grid.replaceChildren(...(this.cards.length > 0 ? this.cards.map((card) => card.node)
      : [h('p', { class: 'empty' }, t('site.none'))]));
    this.update();
  }

  alarmsChanged(changed) {
    for (const [id, line] of this.lines) {
      if (!changed || changed.some((alarm) => alarm.point === id)) line.alarmsChanged();
    }
    for (const card of this.cards) card.alarmsChanged();
    this.ask();
  }

  // At most once in a frame, however fast samples come.
  ask() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.update(); });
  }

  update() {
    for (const card of this.cards) {
      let notGood = 0;
      for (const line of card.lines) if (!line.update()) notGood++;
      card.summarise(notGood);
    }
  }
}
