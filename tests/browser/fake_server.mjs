// A centre made of nothing: serves the pages of dashboards/web and the routes they use, from data
// that is the same each time. The test turns its faults on: frozen, dead, bad values, odd names.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WEB = fileURLToPath(new URL('../../dashboards/web/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const XSS = '<img src=x onerror="window.hacked=1"><b>COD</b>';

const point = (id, name, unit, type = 'float32', interval_ms = 1000) =>
  ({ id, name, unit, type, site: id.split('.')[0], class: 'trend', interval_ms });

const POINTS = [
  point('leachate.analyser.cod', 'chemical oxygen demand 出水 COD', 'mg/L'),
  point('leachate.analyser.ph', 'ph', 'pH'), point('leachate.plc.level', 'level', 'm'),
  point('leachate.plc.flux', 'flux', 'L/m2/h'), point('leachate.plc.xss', XSS, '<i>u</i>'),
  point('transfer.plc.h2s', 'h2s', 'mg/m3'), point('transfer.plc.ch4', 'ch4', '%LEL'),
  point('transfer.plc.pm10', 'pm10', 'ug/m3', 'uint16'),
  point('gas.rtu.ch4', 'ch4', '%LEL'), point('gas.rtu.p_out1', 'p_out1', 'kPa'),
  point('gas.rtu.never', 'temp', 'degC'),
];

const START = { 'leachate.analyser.cod': 131.2, 'leachate.analyser.ph': 7.24, 'leachate.plc.level': 3.6, 'leachate.plc.flux': 12.5,
  'leachate.plc.xss': 1, 'transfer.plc.h2s': 21.4, 'transfer.plc.ch4': 3.1, 'transfer.plc.pm10': 88, 'gas.rtu.ch4': 0.4, 'gas.rtu.p_out1': 290 };

const alarm = (id, on, kind, state, priority, value, unit, limits, response, more = {}) => ({
  id, point: on, kind, state, priority, occurrence: state === 'normal' ? 0 : 1, onset: null, raised: null, value, value_t: null,
  quality: 'good', unit, limits, response, acked_by: null, ...more });

export class FakeServer {
  constructor() {
    this.user = { user: 'operator', role: 'operator', password: 'secret' };
    this.session = '';
    this.clients = new Set();
    this.frozen = false;  // connections stay open and nothing is said any more
    this.silent = new Set(); // points that send nothing more
    this.acks = [];
    this.refuseAck = 0;
    this.posts = [];
    this.events = 0;
    this.health = { status: 'ok', causes: [] };
    const now = Date.now();
    this.values = new Map(Object.entries(START).map(([id, value]) =>
      [id, { point: id, t: new Date(now).toISOString(), value, quality: 'good', cause: null }]));
    const ago = (s) => new Date(now - s * 1000).toISOString();
    this.alarms = [
      alarm('leachate-cod-high', 'leachate.analyser.cod', 'high', 'unack_active', 'high', 131.2, 'mg/L', [{ at: 100, priority: 'high' }],
        { zh: '停止排放，切换到回流，通知工艺员', en: 'Stop discharge, switch to return, call the process engineer' }, { onset: ago(105), raised: ago(102) }),
      alarm('transfer-h2s-high', 'transfer.plc.h2s', 'high', 'unack_active', 'critical', 21.4, 'mg/m3',
        [{ at: 10, priority: 'high' }, { at: 20, priority: 'critical' }],
        { zh: '人员撤离，开启风机', en: 'Leave the hall, start the fans' }, { onset: ago(62), raised: ago(60) }),
      alarm('leachate-level-high', 'leachate.plc.level', 'high', 'unack_returned', 'low', 3.6, 'm', [{ at: 4.5, priority: 'low' }],
        { zh: '检查进水泵', en: 'Check the feed pump' }, { onset: ago(4000), raised: ago(3990) }),
      alarm('leachate-ph-low', 'leachate.analyser.ph', 'low', 'normal', 'high', 7.24, 'pH', [{ at: 6, priority: 'high' }], { zh: '检查加药', en: 'Check the dosing' }),
      alarm('gas-leak', 'gas.rtu.ch4', 'high', 'normal', 'high', 0.4, '%LEL', [{ at: 25, priority: 'high' }, { at: 50, priority: 'critical' }], { zh: '撤离', en: 'Leave' }),
      alarm('gas.rtu.never#instrument', 'gas.rtu.never', 'instrument', 'acked_active', 'diagnostic', null, '', [], {},
        { onset: ago(600), raised: ago(600), quality: 'stale', acked_by: 'li' }),
    ];
  }

  async start(port = 0) {
    this.server = createServer((request, reply) => this.handle(request, reply).catch(() => reply.destroy()));
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    let beat = 0;
    this.timer = setInterval(() => {
      if (this.frozen) return;
      this.sample(beat);
      if (beat++ % 2 === 0) this.send('heartbeat', { now: this.now() });
    }, 1000);
  }

  // Cuts everything, as a killed process does.
  async stop() {
    clearInterval(this.timer);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  now() { return new Date().toISOString(); }

  // A small swing about the starting figure, by the beat and not by chance.
  sample(beat) {
    const values = [];
    for (const entry of this.values.values()) {
      if (this.silent.has(entry.point)) continue;
      entry.t = this.now();
      if (entry.quality === 'good') entry.value = Math.round((START[entry.point] * (1 + Math.sin(beat / 3) / 50)) * 1000) / 1000;
      values.push({ ...entry });
    }
    this.send('samples', { now: this.now(), values });
  }

  set(id, change) { Object.assign(this.values.get(id), change, { t: this.now() }); }

  changeAlarm(id, change) {
    const one = this.alarms.find((a) => a.id === id);
    Object.assign(one, change);
    this.send('alarms', { alarms: [one] });
  }

  send(event, data) {
    this.events++;
    for (const client of this.clients) client.write(`id: ${this.events}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async handle(request, reply) {
    if (request.method === 'POST') this.posts.push(request.url); // also what is never answered
    if (this.frozen) return; // takes the connection and never answers
    const url = new URL(request.url, this.url);
    reply.setHeader('Content-Security-Policy', "default-src 'self'; frame-ancestors 'none'");
    if (!url.pathname.startsWith('/api/v1/')) return this.file(url.pathname, reply);
    const path = url.pathname.slice('/api/v1/'.length);
    const json = (status, body, headers = {}) => {
      reply.writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json', 'Cache-Control': 'no-store', ...headers });
      reply.end(JSON.stringify(body));
    };
    const problem = (status, title) => json(status, { type: 'about:blank', title, status });
    let body = {};
    if (request.method === 'POST') {
      let text = '';
      for await (const chunk of request) text += chunk;
      body = text === '' ? {} : JSON.parse(text);
      if (request.headers['x-chengmai'] !== '1') return problem(403, 'X-Chengmai is missing');
    }
    if (path === 'login') {
      if (body.user !== this.user.user || body.password !== this.user.password) return problem(401, 'wrong');
      this.session = 'abc';
      return json(200, { user: this.user.user, role: this.user.role }, { 'Set-Cookie': 'session=abc; HttpOnly; SameSite=Strict; Path=/' });
    }
    if (this.session === '' || !String(request.headers.cookie).includes(`session=${this.session}`)) return problem(401, 'not signed in');
    return this.api(path, url, body, reply, json, problem);
  }

  api(path, url, body, reply, json, problem) {
    const ack = /^alarms\/([^/]+)\/ack$/.exec(path);
    if (ack) {
      if (this.refuseAck) return problem(this.refuseAck, 'not now');
      const id = decodeURIComponent(ack[1]);
      this.acks.push({ id, ...body });
      json(202, {});
      const one = this.alarms.find((a) => a.id === id);
      return this.changeAlarm(id, { state: one.state === 'unack_returned' ? 'normal' : 'acked_active', acked_by: this.user.user });
    }
    const history = /^points\/([^/]+)\/history$/.exec(path);
    if (history) return json(200, this.history(decodeURIComponent(history[1]), url.searchParams));
    switch (path) {
    case 'logout': this.session = ''; return json(200, {});
    case 'me': return json(200, { user: this.user.user, role: this.user.role });
    case 'health': return json(this.health.causes.length ? 503 : 200, this.health);
    case 'edges': return json(200, { edges: this.edges() });
    case 'gaps': return json(200, { gaps: this.gaps() });
    case 'stream': return this.stream(reply);
    default: return problem(404, 'no such thing');
    }
  }

  edges() {
    return ['leachate', 'transfer', 'gas'].map((edge) => ({
      edge, site: edge, state: edge === 'gas' ? 'silent' : 'up', seen: new Date(Date.now() - (edge === 'gas' ? 95000 : 500)).toISOString(),
      epoch: '9f0c', records_missing: edge === 'gas' ? 12 : 0, samples_appended: 90210, samples_received: 90198, samples_lost: 0, stats: {} }));
  }

  gaps() {
    const at = (s) => new Date(Date.now() - s * 1000).toISOString();
    return [{ edge: 'gas', epoch: '9f0c', stream: 's', first: 880, last: 891, from: at(95), to: at(60), points: 84, cause: 'link_down', open: true },
      { edge: 'leachate', epoch: '77aa', stream: 't', first: 1, last: 40, from: at(9000), to: at(8000), points: 800, cause: 'space', open: false }];
  }

  stream(reply) {
    reply.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.clients.add(reply);
    reply.on('close', () => this.clients.delete(reply));
    const snapshot = { now: this.now(), points: POINTS, values: [...this.values.values()], alarms: this.alarms };
    reply.write(`id: ${++this.events}\nevent: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`);
  }

  // A wave with one spike at 40 %, a hole with a cause at 60 to 68 %.
  history(id, params) {
    const from = Date.parse(params.get('from'));
    const to = Date.parse(params.get('to'));
    const step = Math.max(1000, Math.ceil((to - from) / Number(params.get('width'))));
    const base = START[id] || 0;
    const buckets = [];
    const total = Math.floor((to - from) / step);
    for (let n = 0; n < total; n++) {
      const part = n / total;
      if (part > 0.6 && part < 0.68) continue;
      const mean = base * (0.6 + 0.1 * Math.sin(part * 20));
      const spike = n === Math.floor(total * 0.4) ? 1.4 : 1.02;
      buckets.push({ t: new Date(from + n * step).toISOString(), min: mean * 0.97, max: mean * (spike === 1.4 ? 1.9 : spike), mean,
        count: 60, quality: part > 0.8 && part < 0.83 ? 'uncertain' : 'good' });
    }
    return { point: id, unit: POINTS.find((p) => p.id === id)?.unit ?? '', from: new Date(from).toISOString(), to: new Date(to).toISOString(), step_ms: step, buckets,
      gaps: [{ from: new Date(from + 0.6 * (to - from)).toISOString(), to: new Date(from + 0.68 * (to - from)).toISOString(), cause: 'link_down' }] };
  }

  async file(path, reply) {
    const name = path === '/' ? 'index.html' : path.slice(1);
    try {
      if (!/^[a-z0-9_]+\.[a-z]+$/.test(name)) throw new Error('no such name');
      const data = await readFile(join(WEB, name));
      reply.writeHead(200, { 'Content-Type': TYPES[extname(name)] || 'application/octet-stream' });
      reply.end(data);
    } catch {
      reply.writeHead(404).end();
    }
  }
}
