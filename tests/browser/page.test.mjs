// The page against a centre made of nothing: what must hold whatever the plant does.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { FakeServer } from './fake_server.mjs';
import { launch, open, signIn } from './browser.mjs';

let browser;
let reason;
before(async () => { ({ browser, reason } = await launch()); });
after(async () => { if (browser) await browser.close(); });

// A test with a server and a signed-in page of its own.
function pageTest(name, body, options) {
  test(name, { timeout: 60000 }, async (context) => {
    if (reason) { context.skip(reason); return; }
    const server = new FakeServer();
    await server.start();
    let page;
    try {
      page = await open(browser, server.url, options);
      if (!name.startsWith('sign-in')) await signIn(page, 'operator', 'secret');
      await body(page, server);
      assert.deepEqual(page.complaints, []);
    } finally {
      if (page) await page.context().close();
      await server.stop();
    }
  });
}

const value = (id) => `[data-point="${id}"]`;
const quality = (page, id) => page.getAttribute(value(id), 'data-quality');
const until = (page, selector, timeout = 10000) => page.waitForSelector(selector, { timeout });

pageTest('sign-in: a wrong password is refused in words, the right one opens the overview', async (page) => {
  await page.fill('#user', 'operator');
  await page.fill('#password', 'wrong');
  await page.click('button[type=submit]');
  await page.waitForFunction(() => /密码不对/.test(document.querySelector('.form-error').textContent));
  await signIn(page, 'operator', 'secret');
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
});

pageTest('values carry the contract and follow the stream', async (page) => {
  const selector = value('leachate.analyser.cod');
  assert.equal(await page.getAttribute(selector, 'data-quality'), 'good');
  assert.ok(Number(await page.getAttribute(selector, 'data-age')) < 5);
  const first = await page.getAttribute(selector, 'data-value');
  await page.waitForFunction(([s, old]) => document.querySelector(s).dataset.value !== old, [selector, first]);
});

pageTest('a frozen centre: lost within seven seconds, every value hatched, nothing can be sent', async (page, server) => {
  server.frozen = true;
  await until(page, '[data-conn=lost]', 7000);
  const plain = await page.$$eval('[data-point]', (nodes) => nodes.filter((node) =>
    node.dataset.quality === 'good' || !getComputedStyle(node).backgroundImage.includes('gradient')).length);
  assert.equal(plain, 0);
  assert.equal(await page.$$eval('.ack', (nodes) => nodes.filter((node) => !node.hidden && !node.disabled).length), 0);
  assert.match(await page.textContent('.banner'), /中断/);
  const posts = server.posts.length;
  const row = '[data-alarm="leachate-cod-high"]';
  await page.$eval(`${row} .ack`, (node) => { node.disabled = false; node.click(); }); // past the lock
  await page.waitForFunction((s) => /未发出/.test(document.querySelector(`${s} .error`).textContent), row);
  server.frozen = false;
  await until(page, '[data-conn=live]', 20000);
  await until(page, `${value('leachate.analyser.cod')}[data-quality=good]`);
  assert.equal(server.posts.length, posts, 'nothing was sent, then or later');
});

pageTest('a killed centre: the page finds it again by itself', async (page, server) => {
  const port = server.port;
  await server.stop();
  await until(page, '[data-conn=lost]', 7000);
  await server.start(port);
  await until(page, '[data-conn=live]', 20000);
});

pageTest('a bad value shows no figure as good: word, cause, hatch', async (page, server) => {
  server.set('gas.rtu.p_out1', { quality: 'bad', value: 999, cause: 'comm_timeout' });
  const selector = value('gas.rtu.p_out1');
  await until(page, `${selector}[data-quality=bad]`);
  assert.equal((await page.textContent(`${selector} .number`)).trim(), '(999.0)');
  const note = await page.textContent(`${selector} .note`);
  assert.match(note, /坏值 · 通讯超时 · 末次 2/);
  assert.match(await page.$eval(selector, (node) => getComputedStyle(node).backgroundImage), /gradient/);
});

pageTest('a value without a number is bad even if the centre calls it good', async (page, server) => {
  server.silent.add('transfer.plc.ch4');
  server.set('transfer.plc.ch4', { quality: 'good', value: null });
  server.send('samples', { now: server.now(), values: [server.values.get('transfer.plc.ch4')] });
  await until(page, `${value('transfer.plc.ch4')}[data-quality=bad]`);
});

pageTest('silence turns a value stale in the browser, and only that one', async (page, server) => {
  server.silent.add('gas.rtu.ch4');
  server.values.get('gas.rtu.ch4').t = new Date(Date.now() - 13000).toISOString();
  server.send('samples', { now: server.now(), values: [server.values.get('gas.rtu.ch4')] });
  await until(page, `${value('gas.rtu.ch4')}[data-quality=stale]`, 20000);
  assert.equal(await quality(page, 'leachate.analyser.ph'), 'good');
  assert.equal(await quality(page, 'gas.rtu.never'), 'stale');
});

pageTest('names with markup are shown as text', async (page) => {
  assert.match(await page.textContent(value('leachate.plc.xss')), /<img src=x onerror="window\.hacked=1"><b>COD<\/b>/);
  assert.equal(await page.$$eval('#app img, #app i, #app b', (nodes) => nodes.length), 0);
  await page.click(value('leachate.plc.xss'));
  await until(page, '.trend svg.chart');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

pageTest('alarms: worst first with shape and digit, acknowledged for the occurrence seen', async (page, server) => {
  const rows = await page.$$eval('[data-alarm]', (nodes) => nodes.map((n) => [n.dataset.alarm, n.dataset.prio, n.dataset.alarmState]));
  assert.deepEqual(rows.map((row) => row[1]), ['1', '2', '3', '4']);
  assert.deepEqual(rows[0], ['transfer-h2s-high', '1', 'unack_active']);
  assert.equal(await page.textContent('[data-alarm="transfer-h2s-high"] .prio text'), '1');
  await page.click('[data-alarm="leachate-cod-high"] .ack');
  await until(page, '[data-alarm="leachate-cod-high"][data-alarm-state=acked_active]');
  assert.deepEqual(server.acks, [{ id: 'leachate-cod-high', occurrence: 1 }]);
  await page.click('[data-alarm="transfer-h2s-high"] .ack'); // critical: a note is offered
  await page.fill('#ack-note', '风机已开');
  await page.press('#ack-note', 'Enter');
  await until(page, '[data-alarm="transfer-h2s-high"][data-alarm-state=acked_active]');
  assert.deepEqual(server.acks[1], { id: 'transfer-h2s-high', occurrence: 1, note: '风机已开' });
});

pageTest('a refused acknowledgement is said beside its alarm', async (page, server) => {
  server.refuseAck = 403;
  await page.click('[data-alarm="leachate-cod-high"] .ack');
  await page.waitForFunction(() => /无权/.test(document.querySelector('[data-alarm="leachate-cod-high"] .error').textContent));
});

pageTest('rows do not move under the pointer; new ones wait behind a button', async (page, server) => {
  await page.hover('[data-alarm="leachate-level-high"]');
  await page.mouse.move(1100, 300);
  await page.hover('[data-alarm="leachate-level-high"]');
  server.changeAlarm('gas-leak', { state: 'unack_active', priority: 'critical', occurrence: 1, onset: server.now(), value: 55 });
  await until(page, '.pill:not([hidden])');
  assert.equal(await page.$$eval('[data-alarm="gas-leak"]', (nodes) => nodes.length), 0);
  assert.match(await page.textContent('[data-count-prio="1"]'), /2$/, 'the header counts it at once');
  await page.click('.pill');
  await until(page, '[data-alarm="gas-leak"]');
}, { viewport: { width: 1400, height: 900 } });

pageTest('a viewer is offered no acknowledgement', async (page, server) => {
  assert.ok(await page.$('.ack'));
  server.user.role = 'viewer';
  await page.reload();
  await until(page, '[data-conn=live] [data-alarm]');
  assert.equal(await page.$('.ack'), null);
});

pageTest('trend: gap hatched with its cause, spike marked, cursor by keyboard, state in the address', async (page) => {
  await page.click(value('leachate.analyser.cod'));
  await until(page, '.hole[data-cause=link_down]');
  assert.ok(await page.$('.excursion.p2'));
  const wide = await page.$eval('.excursion', (node) => Number(node.getAttribute('width')));
  assert.ok(wide >= 4, `${wide} px`);
  await page.focus('.plot');
  const last = await page.$eval('.plot', (node) => [node.getAttribute('aria-valuenow'), node.getAttribute('aria-valuemax')]);
  assert.equal(last[0], last[1], 'the cursor begins at the newest bucket');
  const before = await page.textContent('.readout');
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((text) => document.querySelector('.readout').textContent !== text, before);
  await page.click('.trend-controls a:has-text("8 时")');
  await page.waitForFunction(() => location.hash.includes('r=8h'));
  await page.reload();
  await until(page, '.trend svg.chart');
  assert.match(await page.textContent('.trend-controls [aria-current=true]'), /8 时/);
  await page.click('.twin summary');
  await until(page, '.twin tbody tr');
  assert.ok(await page.$$eval('.twin tbody tr', (rows) => rows.length) > 50);
});

pageTest('the other language, and its mark on the document', async (page) => {
  await page.click('button:has-text("EN")');
  assert.equal(await page.getAttribute('html', 'lang'), 'en');
  await page.waitForFunction(() => /Leachate plant/.test(document.body.textContent));
  assert.match(await page.getAttribute('[data-alarm="leachate-cod-high"] .ack', 'aria-label'), /^Acknowledge alarm Leachate plant · chemical oxygen demand/);
});

pageTest('an ended session asks to sign in again', async (page, server) => {
  server.session = 'another';
  await until(page, '.login', 15000);
  assert.match(await page.textContent('.form-error'), /失效/);
});

pageTest('phone: nothing is wider than the screen, and the trend opens clear of the header', async (page) => {
  await page.click(value('leachate.analyser.cod'));
  await until(page, '.trend svg.chart');
  const [title, header] = await page.evaluate(() => ['#trend-title', '.top'].map((s) => document.querySelector(s).getBoundingClientRect().toJSON()));
  assert.ok(title.top >= header.bottom && title.bottom < 844, `title at ${title.top}, header to ${header.bottom}`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
}, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });

pageTest('times are the plant\'s, whatever the zone of the browser', async (page) => {
  const shown = (await page.textContent('.clock')).slice(0, 5);
  const hours = [0, 1].map((late) => new Date(Date.now() + 8 * 3600e3 - late * 60e3).toISOString().slice(11, 16));
  assert.ok(hours.includes(shown), shown);
});

pageTest('every control has a name', async (page) => {
  await page.click(value('leachate.analyser.cod'));
  await until(page, '.trend svg.chart');
  const nameless = await page.$$eval('button:not([hidden]), a, input, summary, [tabindex]', (nodes) => nodes
    .filter((n) => !(n.getAttribute('aria-label') || n.textContent.trim() || (n.labels && n.labels.length))).map((n) => n.outerHTML));
  assert.deepEqual(nameless, []);
});
