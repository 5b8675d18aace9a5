// What the page knows: points, their latest values, alarms, and the centre's time. Fed by the
// stream, read by the views. Holds no history, so a wall screen may run for months.

import { judge, believable } from './truth.js';

export class Store {
  constructor(stream) {
    this.stream = stream;
    this.points = new Map();
    this.values = new Map();
    this.lastGoods = new Map(); // point → {value, ms}: said beside a bad value, never instead
    this.alarms = new Map();
    this.edges = [];
    this.listeners = new Map();
  }

  // Topics: points, values (set of ids), alarms (list of changed), all (a snapshot), strangers
  // (a value of a point not known yet), edges.
  on(topic, listener) {
    if (!this.listeners.has(topic)) this.listeners.set(topic, new Set());
    this.listeners.get(topic).add(listener);
    return () => this.listeners.get(topic).delete(listener);
  }

  tell(topic, detail) {
    for (const listener of [...(this.listeners.get(topic) || [])]) listener(detail);
  }

  live() { return this.stream.live(); }

  now() { return this.stream.now(); }

  // One event of the stream.
  take(event, data) {
    if (event === 'snapshot') {
      this.setPoints(data.points || []);
      this.values.clear();
      this.alarms.clear();
      this.addValues(data.values || []);
      this.addAlarms(data.alarms || []);
      this.tell('all');
    } else if (event === 'samples') {
      this.addValues(data.values || []);
    } else if (event === 'alarms') {
      this.addAlarms(data.alarms || []);
    }
  }

  setPoints(points) {
    const before = JSON.stringify([...this.points.values()]);
    this.points = new Map(points.map((point) => [point.id, point]));
    if (JSON.stringify(points) !== before) this.tell('points');
  }

  addValues(values) {
    const changed = new Set();
    let strangers = false;
    for (const value of values) {
      const ms = Date.parse(value.t);
      if (!this.points.has(value.point)) strangers = true;
      const old = this.values.get(value.point);
      if (old && ms < old.ms) continue; // backfill: the newer one stays
      this.values.set(value.point, { ...value, ms });
      if (believable(value.quality) && value.value !== null && value.value !== undefined) {
        this.lastGoods.set(value.point, { value: value.value, ms });
      }
      changed.add(value.point);
    }
    this.tell('values', changed);
    if (strangers) this.tell('strangers');
  }

  addAlarms(alarms) {
    for (const alarm of alarms) this.alarms.set(alarm.id, alarm);
    this.tell('alarms', alarms);
  }

  setEdges(edges) {
    this.edges = edges;
    this.tell('edges');
  }

  judge(id) {
    return judge(this.points.get(id), this.values.get(id), this.now(), this.live());
  }

  lastGood(id) { return this.lastGoods.get(id) || null; }

  activeAlarms() {
    return [...this.alarms.values()].filter((alarm) => alarm.state !== 'normal');
  }

  alarmsOf(point) {
    return [...this.alarms.values()].filter((alarm) => alarm.point === point);
  }
}
