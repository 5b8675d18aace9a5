// Below the alarms: which collectors are heard from, and what is missing and why.

import { h, table } from './dom.js';
import { dateTime, siteName, t, word } from './i18n.js';
import { get } from './api.js';

const EVERY_MS = 5000;
const MOST_GAPS = 50;

const count = (n) => (Number.isFinite(n) ? String(n) : '—');

export class Edges {
  constructor(store) {
    this.store = store;
    this.edges = h('div', { class: 'edges' });
    this.gaps = h('div', { class: 'gaps' });
    this.node = h('div', { class: 'lower' },
      h('section', {}, h('h2', {}, t('edges')), this.edges),
      h('section', {}, h('h2', {}, t('gaps')), this.gaps));
    this.load();
    this.timer = setInterval(() => this.load(), EVERY_MS);
  }

  release() {
    clearInterval(this.timer);
    this.released = true;
  }

  // A failed read leaves the old tables, hatched like everything else once the page is lost.
  async load() {
    try {
      const [edges, gaps] = await Promise.all([get('edges'), get('gaps')]);
      if (this.released) return;
      this.store.setEdges(edges.edges || []);
      this.draw(edges.edges || [], gaps.gaps || []);
      this.node.classList.remove('old');
    } catch {
      this.node.classList.add('old');
    }
  }

  draw(edges, gaps) {
    const key = JSON.stringify([edges, gaps]);
    if (key === this.key) return;
    this.key = key;
    this.edges.replaceChildren(edges.length === 0 ? h('p', { class: 'empty' }, t('edges.none'))
      : this.edgeTable(edges));
    this.gaps.replaceChildren(...(gaps.length === 0 ? [h('p', { class: 'empty' }, t('gaps.none'))]
      : this.gapTable(gaps)));
  }

  edgeTable(unsorted) {
    const edges = [...unsorted].sort((a, b) => (a.edge < b.edge ? -1 : 1));
    const now = this.store.now();
    return table(t('edges'),
      ['col.edge', 'col.site', 'col.state', 'col.seen', 'col.missing', 'col.received', 'col.lost'].map((k) => t(k)),
      edges.map((edge) => ({
        attributes: { 'data-edge': edge.edge, 'data-edge-state': edge.state },
        cells: [edge.edge, siteName(edge.site || ''),
          h('span', { class: `badge ${edge.state === 'up' ? '' : 'wrong'}` }, word('edge', edge.state)),
          dateTime(Date.parse(edge.seen), now), count(edge.records_missing),
          count(edge.samples_received), count(edge.samples_lost)],
      })));
  }

  // Open ones first, then the newest.
  gapTable(gaps) {
    const now = this.store.now();
    const sorted = [...gaps].sort((a, b) => Number(Boolean(b.open)) - Number(Boolean(a.open)) ||
      (Date.parse(b.from) || 0) - (Date.parse(a.from) || 0));
    const parts = [table(t('gaps'),
      ['col.edge', 'col.stream', 'col.state', 'col.from', 'col.to', 'col.records', 'col.points', 'col.cause'].map((k) => t(k)),
      sorted.slice(0, MOST_GAPS).map((gap) => ({
        attributes: { 'data-gap': gap.open ? 'open' : 'closed' },
        cells: [gap.edge, gap.stream,
          h('span', { class: `badge ${gap.open ? 'wrong' : ''}` }, t(gap.open ? 'gap.open' : 'gap.closed')),
          dateTime(Date.parse(gap.from), now), dateTime(Date.parse(gap.to), now),
          `${gap.first}–${gap.last}`, count(gap.points), word('cause', gap.cause)],
      })))];
    if (sorted.length > MOST_GAPS) {
      parts.push(h('p', { class: 'empty' }, t('gaps.more', { n: sorted.length - MOST_GAPS })));
    }
    return parts;
  }
}
