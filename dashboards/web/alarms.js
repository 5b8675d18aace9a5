// The list of alarms that are not normal. Rows never move under the pointer: while somebody points
// into the list or has the focus there, new rows wait behind a button that says how many, and rows
// that became normal stay and say so. The counts in the header are always the truth.

import { announce, h, setAttribute, setText } from './dom.js';
import { t } from './i18n.js';
import { AlarmRow, describe } from './alarm_row.js';
import { prioNumber, symbol } from './symbols.js';

const HOLD_MS = 10000; // a pointer that was left lying there holds nothing back for long

const unacked = (alarm) => /unack/.test(alarm.state);

// Worst first; within a priority what is not acknowledged, then the newest.
function order(a, b) {
  return prioNumber(a.priority) - prioNumber(b.priority) ||
    Number(unacked(b)) - Number(unacked(a)) ||
    (Date.parse(b.onset) || 0) - (Date.parse(a.onset) || 0) || (a.id < b.id ? -1 : 1);
}

export class Alarms {
  constructor(store, me, hrefOf) {
    Object.assign(this, { store, me, hrefOf });
    this.rows = new Map();
    this.held = 0; // until when, performance.now()
    // Occurrences that are no news; the first snapshot is none either.
    this.known = store.alarms.size > 0
      ? new Map([...store.alarms.values()].map((alarm) => [alarm.id, alarm.occurrence])) : null;
    this.list = h('ul', { class: 'alarm-list' });
    this.empty = h('p', { class: 'empty' }, t('alarms.none'));
    this.pill = h('button', { class: 'pill', type: 'button', hidden: true, on: { click: () => this.arrange(true) } });
    this.node = h('section', { class: 'alarms', 'aria-label': t('alarms'), on: {
      pointermove: () => this.hold(), focusin: () => this.hold(), keydown: () => this.hold(),
      pointerleave: () => { this.held = 0; this.ask(); },
    } }, h('h2', {}, t('alarms')), this.pill, this.empty, this.list);
    this.counts = h('div', { class: 'counts', role: 'group', 'aria-label': t('alarms.counts') });
    this.off = [
      store.on('alarms', (changed) => { this.announceNew(changed); this.ask(); }),
      store.on('all', () => this.ask()),
      store.on('points', () => this.ask()),
    ];
    this.timer = setInterval(() => this.tick(), 1000);
    this.arrange(true);
  }

  release() {
    for (const off of this.off) off();
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
  }

  hold() { this.held = performance.now() + HOLD_MS; }

  holding() { return this.rows.size > 0 && performance.now() < this.held; }

  ask() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.arrange(false); });
  }

  tick() {
    const now = this.store.now();
    for (const row of this.rows.values()) row.tick(now);
    if (this.waiting && !this.holding()) this.arrange(true);
  }

  connChanged() {
    for (const row of this.rows.values()) row.lock(!this.store.live());
  }

  // Brings the rows up to date; their order and number only when nobody would be disturbed.
  arrange(forced) {
    const active = this.store.activeAlarms().sort(order);
    const hold = !forced && this.holding();
    let fresh = 0;
    for (const alarm of active) {
      if (!this.rows.has(alarm.id) && hold) fresh++;
      else if (!this.rows.has(alarm.id)) this.rows.set(alarm.id, new AlarmRow(this.store, this.me, alarm, this.hrefOf));
    }
    const ids = new Set(active.map((alarm) => alarm.id));
    let gone = false;
    for (const [id, row] of this.rows) {
      const alarm = this.store.alarms.get(id);
      if (alarm) row.update(alarm);
      if (ids.has(id)) continue;
      if (hold) {
        gone = true;
        if (!alarm) row.update({ ...row.alarm, state: 'normal' });
      } else {
        row.node.remove();
        this.rows.delete(id);
      }
    }
    if (!hold) this.place(active);
    this.waiting = hold && (fresh > 0 || gone || this.misplaced(active));
    this.pill.hidden = fresh === 0;
    setText(this.pill, t('alarms.new', { n: fresh }));
    this.empty.hidden = this.rows.size > 0 || fresh > 0;
    this.count(active);
    this.connChanged();
  }

  misplaced(active) {
    const shown = [...this.list.children].map((node) => node.dataset.alarm);
    const wanted = active.map((alarm) => alarm.id).filter((id) => this.rows.has(id));
    return shown.join('\n') !== wanted.join('\n');
  }

  // Moves only what stands in the wrong place, so that focus and selection stay.
  place(active) {
    const focused = document.activeElement;
    let at = this.list.firstElementChild;
    for (const alarm of active) {
      const node = this.rows.get(alarm.id).node;
      if (node === at) at = at.nextElementSibling;
      else this.list.insertBefore(node, at);
    }
    if (focused !== document.activeElement && this.list.contains(focused)) focused.focus({ preventScroll: true });
  }

  count(active) {
    const counts = [1, 2, 3, 4].map((prio) => active.filter((alarm) => prioNumber(alarm.priority) === prio));
    const open = active.filter(unacked).length;
    document.title = open > 0 ? `(${open}) ${t('title')}` : t('title');
    const key = counts.map((list) => `${list.length}${list.some(unacked)}`).join();
    if (key === this.countKey) return;
    this.countKey = key;
    this.counts.replaceChildren(...counts.map((list, n) => h('span', {
      class: list.length > 0 ? 'count' : 'count none', 'data-count-prio': n + 1,
    }, symbol(n + 1, list.some(unacked) ? 'blink' : 'steady'), String(list.length))));
    setAttribute(this.counts, 'title', t('alarms.unack', { n: open }));
  }

  // Screen readers hear of each new occurrence once.
  announceNew(changed) {
    const first = this.known === null;
    if (first) this.known = new Map();
    for (const alarm of changed) {
      const news = alarm.state === 'unack_active' && this.known.get(alarm.id) !== alarm.occurrence;
      this.known.set(alarm.id, alarm.occurrence);
      if (news && !first) {
        const prio = prioNumber(alarm.priority);
        announce(`${t(`prio.${prio}`)} ${t('alarm.raised', { what: describe(this.store, alarm) })}`, prio === 1);
      }
    }
  }
}
