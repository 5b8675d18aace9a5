// One alarm: what, since when, how far beyond which limit, what to do, and the button that
// acknowledges it.

import { h, setAttribute, setText } from './dom.js';
import { clockTime, dateTime, duration, lang, number, pointName, siteName, t, word } from './i18n.js';
import { post } from './api.js';
import { lookOf, prioNumber, symbol } from './symbols.js';
import { believable } from './truth.js';
import { askNote } from './ack_note.js';

const MAY_ACK = new Set(['operator', 'safety']);
const SIGN = { high: '>', low: '<', rate_rising: '>', rate_falling: '>', state: '=' };

// "Leachate plant · COD"
export function describe(store, alarm) {
  const point = store.points.get(alarm.point);
  return point ? `${siteName(point.site)} · ${pointName(point)}` : alarm.point || alarm.id;
}

// "131.2 > 100 mg/L": the newest value that may be believed, and the limit in force. Where the value
// is not beyond the limit now, it is not written as if it were.
function valueText(store, alarm) {
  const point = store.points.get(alarm.point) || {};
  const latest = store.judge(alarm.point);
  const figure = typeof latest.value === 'number' && believable(latest.quality) ? latest.value : alarm.value;
  const limits = alarm.limits || [];
  const limit = limits.find((l) => l.priority === alarm.priority) || limits[0];
  const rate = /^rate_/.test(alarm.kind);
  const unit = alarm.unit || point.unit || '';
  const value = figure === null || figure === undefined ? '—' : number(figure, point.type);
  const parts = [];
  if (alarm.kind === 'instrument') parts.push(t('alarm.instrument'));
  else if (!limit) parts.push(`${value} ${unit}`);
  else if (rate) parts.push(`${value} ${unit}, Δ ${SIGN[alarm.kind]} ${limit.at} ${t('alarm.rate', { unit })}`);
  else if (SIGN[alarm.kind]) {
    const holds = { high: figure > limit.at, low: figure < limit.at, state: figure === limit.at }[alarm.kind];
    parts.push(holds ? `${value} ${SIGN[alarm.kind]} ${limit.at} ${unit}`
      : `${value} (${t('trend.limit')} ${limit.at}) ${unit}`);
  } else parts.push(`${t('alarm.deviation')} ${value} (${limit.at}) ${unit}`);
  if (!believable(latest.quality)) parts.push(word('quality', latest.quality));
  return parts.join(' · ');
}

export class AlarmRow {
  constructor(store, me, alarm, hrefOf) {
    Object.assign(this, { store });
    const cell = (name) => { this[name] = h('span', { class: `cell ${name}` }); return this[name]; };
    this.what = h('a', { class: 'cell what', href: hrefOf(alarm.point) });
    this.error = h('span', { class: 'cell error', role: 'alert' });
    this.node = h('li', { class: 'alarm', 'data-alarm': alarm.id },
      cell('shape'), this.what, cell('value'),
      h('span', { class: 'when' }, cell('state'), cell('onset'), cell('lasting')),
      cell('response'), cell('by'), this.error);
    if (MAY_ACK.has(me.role)) {
      this.button = h('button', { class: 'ack', type: 'button', on: { click: () => this.ack() } }, t('ack'));
      this.node.append(this.button);
    }
    this.update(alarm);
  }

  update(alarm) {
    if (this.alarm && this.alarm.occurrence !== alarm.occurrence) this.sent = false;
    this.alarm = alarm;
    const prio = prioNumber(alarm.priority);
    const normal = alarm.state === 'normal';
    const key = `${prio} ${alarm.state}`;
    if (key !== this.key) {
      this.key = key;
      this.shape.replaceChildren(symbol(prio, normal ? 'hollow' : lookOf(alarm.state)));
      setAttribute(this.node, 'class', `alarm p${prio} ${normal ? 'gone' : ''}`);
    }
    setAttribute(this.node, 'data-prio', prio);
    setAttribute(this.node, 'data-alarm-state', alarm.state);
    setText(this.state, word('alarm', alarm.state));
    const onset = Date.parse(alarm.onset || alarm.raised);
    setText(this.onset, dateTime(onset, this.store.now()));
    setAttribute(this.onset, 'title', `${t('alarm.onset')} ${alarm.onset || ''}`);
    const what = describe(this.store, alarm);
    setText(this.what, what);
    setAttribute(this.what, 'title', `${alarm.id} · ${alarm.point}`);
    setAttribute(this.value, 'title', alarm.value_t ? clockTime(Date.parse(alarm.value_t)) : null);
    const response = alarm.response || {};
    setText(this.response, (lang() === 'zh' ? response.zh || response.en : response.en || response.zh) || '');
    setText(this.by, alarm.acked_by ? t('alarm.by', { user: alarm.acked_by }) : '');
    if (!/unack/.test(alarm.state)) { this.sent = false; setText(this.error, ''); }
    if (this.button) setAttribute(this.button, 'aria-label', t('ack.name', { what: `${what} ${alarm.id}` }));
    this.tick(this.store.now());
    this.lock(!this.store.live());
  }

  // Once a second: how long, and the value now.
  tick(now) {
    setText(this.value, valueText(this.store, this.alarm));
    const onset = Date.parse(this.alarm.onset || this.alarm.raised);
    setText(this.lasting, this.alarm.state === 'normal' ? '' : duration(now - onset));
  }

  lock(locked) {
    if (!this.button) return;
    const needed = /unack/.test(this.alarm.state);
    this.button.hidden = !needed;
    this.button.disabled = locked || this.sent;
    setText(this.button, this.sent ? t('ack.sent') : t('ack'));
  }

  // Always for the occurrence that the person saw: a newer one needs a look of its own.
  async ack() {
    const { id, occurrence, priority } = this.alarm;
    const note = prioNumber(priority) === 1 ? await askNote(describe(this.store, this.alarm)) : '';
    if (note === null) return;
    this.sent = true;
    setText(this.error, '');
    this.lock(!this.store.live());
    try {
      await post(`alarms/${encodeURIComponent(id)}/ack`, note ? { occurrence, note } : { occurrence });
    } catch (failure) {
      this.sent = false;
      setText(this.error, failure.kind === 'refused'
        ? (failure.status === 403 ? t('post.role') : t('post.refused', { why: failure.why }))
        : t(`post.${failure.kind}`));
      this.lock(!this.store.live());
    }
  }
}
