// The live stream and the verdict whether it lives. The page is `lost` when nothing fresh came for
// five seconds: a frozen centre, a dead network, a proxy that holds data back. A connection that
// is merely open proves nothing.

const LOST_MS = 5000;
const RETRY_MS = 4000;
const SLOW_MS = 10000; // a connection that is still being made is given longer
const CHECK_MS = 250;
const EVENTS = ['snapshot', 'samples', 'alarms', 'heartbeat'];

// The monotonic clock may stand still while a laptop sleeps and the wall clock may be set back:
// the longer of the two spans is the safe one.
const stamp = () => ({ mono: performance.now(), wall: Date.now() });
const since = (then) => Math.max(performance.now() - then.mono, Date.now() - then.wall);

export class Stream {
  // event(name, data), conn(live), refused(): the centre closed the stream for good (session?).
  constructor(url, { event, conn, refused }) {
    Object.assign(this, { url, event, conn, refused });
    this.fresh = null;    // when the last fresh message came
    this.started = stamp();
    this.offset = Infinity; // local monotonic minus the centre's clock, least seen since opening
    this.isLive = false;
    this.seenSnapshot = false;
    this.check = () => this.judge();
  }

  start() {
    this.open();
    this.timer = setInterval(this.check, CHECK_MS);
    document.addEventListener('visibilitychange', this.check);
  }

  stop() {
    clearInterval(this.timer);
    document.removeEventListener('visibilitychange', this.check);
    if (this.source) this.source.close();
    this.source = null;
    this.setLive(false);
  }

  live() { return this.isLive; }

  // Milliseconds since the last fresh message; since the start when there was none.
  age() { return since(this.fresh || this.started); }

  // The centre's time now, UTC ms.
  now() {
    return Number.isFinite(this.offset) ? performance.now() - this.offset : Date.now();
  }

  open() {
    if (this.source) this.source.close();
    const source = new EventSource(this.url);
    this.source = source;
    this.opened = stamp();
    source.onopen = () => { this.offset = Infinity; };
    source.onerror = () => {
      if (source === this.source && source.readyState === EventSource.CLOSED) this.refused();
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (message) => {
        if (source === this.source) this.message(name, message.data);
      });
    }
  }

  message(name, text) {
    let data;
    try { data = JSON.parse(text); } catch { return; } // half a message proves nothing
    if (data === null || typeof data !== 'object') return;
    let late = 0;
    const theirs = Date.parse(data.now);
    if (Number.isFinite(theirs)) {
      const lag = performance.now() - theirs;
      this.offset = Math.min(this.offset, lag);
      late = lag - this.offset;
    }
    if (name === 'snapshot') this.seenSnapshot = true;
    if (late < LOST_MS && this.seenSnapshot) {
      this.fresh = stamp();
      this.setLive(true);
    }
    this.event(name, data);
  }

  judge() {
    if (this.isLive && this.age() > LOST_MS) this.setLive(false);
    // A new connection begins with a snapshot, and so mends whatever was wrong with the old one.
    const patience = this.source.readyState === EventSource.CONNECTING ? SLOW_MS : RETRY_MS;
    if (!this.isLive && since(this.opened) > patience && this.age() > LOST_MS) this.open();
  }

  setLive(live) {
    if (live === this.isLive) return;
    this.isLive = live;
    this.conn(live);
  }
}
