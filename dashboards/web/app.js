// The page: who is there, the header with the verdict on the connection, and the views below it.

import { announce, h, setAttribute, setText } from './dom.js';
import { age, clockTime, lang, setLang, t, word } from './i18n.js';
import { configureApi, get, post } from './api.js';
import { Stream } from './stream.js';
import { Store } from './store.js';
import { Sites } from './sites.js';
import { Alarms } from './alarms.js';
import { Edges } from './edges.js';
import { loginForm } from './login.js';
import { Trend } from './trend.js';
import { readRoute, writeRoute } from './route.js';

const TICK_MS = 500;
const HEALTH_MS = 10000;
const POINTS_MS = 3000;

const root = document.documentElement;
const app = document.getElementById('app');

// One signed-in person's page; made anew after each login and each change of language.
class Page {
  constructor(me, store) {
    Object.assign(this, { me, store });
    const hrefOf = (point) => writeRoute({ point, range: readRoute().range });
    this.sites = new Sites(store, hrefOf);
    this.alarms = new Alarms(store, me, hrefOf);
    this.edges = new Edges(store);
    this.trendPlace = h('div', { class: 'trend-place' });
    this.connWord = h('span', { class: 'conn-word' });
    this.connAge = h('span', { class: 'conn-age' });
    this.clock = h('time', { class: 'clock' });
    this.banner = h('div', { class: 'banner', role: 'alert', hidden: true });
    this.health = h('div', { class: 'banner health', role: 'alert', hidden: true });
    this.node = [
      h('header', { class: 'top' },
        h('h1', {}, t('title'), ' ', h('small', {}, t('subtitle'))),
        this.alarms.counts,
        h('div', { class: 'conn', 'data-conn-badge': '' }, h('span', { class: 'dot', 'aria-hidden': 'true' }),
          this.connWord, ' ', this.connAge, ' ', this.clock),
        h('div', { class: 'who' }, h('span', { class: 'user' }, `${me.user} · ${word('role', me.role)}`),
          languageButton(),
          h('button', { type: 'button', class: 'plain', on: { click: signOut } }, t('logout')))),
      this.banner, this.health,
      h('main', { class: 'board' },
        h('div', { class: 'left' }, this.trendPlace, this.sites.node, this.edges.node),
        h('div', { class: 'right' }, this.alarms.node)),
    ];
    app.replaceChildren(...this.node);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.healthTimer = setInterval(() => this.loadHealth(), HEALTH_MS);
    this.loadHealth();
    this.route();
    this.tick();
  }

  release() {
    clearInterval(this.timer);
    clearInterval(this.healthTimer);
    for (const view of [this.sites, this.alarms, this.edges, this.trend]) if (view) view.release();
  }

  route() {
    const route = readRoute();
    if (!route.point) {
      if (this.trend) this.trend.release();
      this.trend = null;
      this.trendPlace.replaceChildren();
    } else if (this.trend) {
      this.trend.setRoute(route);
    } else {
      this.trend = new Trend(this.store, route);
      this.trendPlace.replaceChildren(this.trend.node);
      this.trend.load();
    }
    if (this.trend) this.trendPlace.scrollIntoView({ block: 'nearest' });
  }

  conn() {
    this.alarms.connChanged();
    this.tick();
    if (this.trend) this.trend.draw();
    announce(t(this.store.live() ? 'conn.back' : 'conn.lost'), !this.store.live());
  }

  // Twice a second: ages grow, and what grew too old turns stale, whether or not anything comes.
  tick() {
    const live = this.store.live();
    const silent = this.store.stream.age();
    setText(this.connWord, t(live ? 'conn.live' : 'conn.lost'));
    setText(this.connAge, age(silent / 1000));
    setAttribute(this.connAge, 'title', t('conn.age', { age: age(silent / 1000) }));
    setText(this.clock, `${clockTime(this.store.now())} +08`);
    this.banner.hidden = live;
    if (!live) {
      setText(this.banner, this.store.stream.seenSnapshot ? t('conn.banner', { for: age(silent / 1000) }) : t('conn.first'));
    }
    this.sites.update();
  }

  async loadHealth() {
    try {
      const health = await get('health', 503);
      const causes = (health.causes || []).map((cause) => (typeof cause === 'string' ? causeWords(cause) : JSON.stringify(cause)));
      const bad = causes.length > 0 || /bad|fail|down|degraded|unhealthy|error|sick/.test(health.status);
      this.health.hidden = !bad;
      if (bad) setText(this.health, t('health.bad', { causes: causes.join('; ') || String(health.status) }));
    } catch { /* the connection has a banner of its own */ }
  }
}

// "store_denied:influx": what, and of which.
function causeWords(cause) {
  const [what, ...of] = cause.split(':');
  return [word('health', what), ...of].join(' ');
}

// ---- sessions -------------------------------------------------------------------------------

let session = null; // {me, stream, store, page}

function languageButton() {
  return h('button', { type: 'button', class: 'plain', 'aria-label': t('lang.switch'), on: { click: () => {
    setLang(lang() === 'zh' ? 'en' : 'zh');
    if (session) openPage(); else showLogin('');
  } } }, t('lang.other'));
}

function openPage() {
  if (session.page) session.page.release();
  session.page = new Page(session.me, session.store);
}

function begin(me) {
  const stream = new Stream('/api/v1/stream', {
    event: (name, data) => store.take(name, data),
    conn: (live) => {
      root.dataset.conn = live ? 'live' : 'lost';
      if (session && session.page) session.page.conn();
    },
    // The stream was refused: either the session ended, or the centre is not ready; ask which.
    refused: () => { get('me').catch((failure) => { if (failure.status === 401) end(t('login.ended')); }); },
  });
  const store = new Store(stream);
  session = { me, stream, store, page: null };
  // An edge that is new since the snapshot: its points are read, but not in a storm of requests.
  let asked = false;
  store.on('strangers', () => {
    if (asked) return;
    asked = true;
    setTimeout(() => { asked = false; }, POINTS_MS);
    get('points').then((reply) => store.setPoints(reply.points || []), () => {});
  });
  openPage();
  stream.start();
}

function end(note) {
  if (session) {
    const { page, stream } = session;
    session = null;
    if (page) page.release();
    stream.stop();
  }
  root.dataset.conn = 'lost';
  showLogin(note);
}

async function signOut() {
  try { await post('logout', {}, { always: true }); } catch { /* the page is left either way */ }
  end('');
}

function showLogin(note) {
  document.title = t('title');
  app.replaceChildren(loginForm(begin, note, languageButton()));
  app.querySelector('input').focus();
}

configureApi({
  guard: () => Boolean(session && session.stream.live()),
  onUnauthorised: () => { if (session) end(t('login.ended')); },
});
window.addEventListener('hashchange', () => { if (session && session.page) session.page.route(); });

// A page opened before the centre is up waits for it.
function enter() {
  get('me').then(begin, (failure) => {
    if (failure.status === 401) { showLogin(''); return; }
    app.replaceChildren(h('p', { class: 'banner', role: 'status' }, t('conn.first')));
    setTimeout(enter, 3000);
  });
}
enter();
