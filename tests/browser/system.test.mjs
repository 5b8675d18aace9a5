// The page before the real programs: config/demo/run.sh in a folder of its own, signed in with the
// account it made, watched through the demonstration's first incident.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, open, signIn } from './browser.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = process.env.CHENGMAI_BUILD || join(ROOT, 'build');
const BIN = process.env.CHENGMAI_BIN || join(BUILD, 'bin');
const PROGRAMS = ['chengmai-sim', 'chengmai-edge', 'chengmai-central'];

let browser;
let reason;
let folder;
let county;
let ended;
let output = '';

// The address and the account that the runner prints when the first sample is stored.
function dashboard() {
  const url = /dashboard\s+(\S+)/.exec(output);
  const account = /account\s+(\S+)\s+password\s+(\S+)/.exec(output);
  return url && account ? { url: url[1], user: account[1], password: account[2] } : null;
}

async function waitFor(what, seconds, look) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (county.exitCode !== null) throw new Error(`the runner ended before ${what}:\n${output}`);
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

before(async () => {
  const missing = PROGRAMS.filter((name) => !existsSync(join(BIN, name)));
  if (missing.length > 0) { reason = `not built: ${missing.join(', ')}`; return; }
  if (!existsSync('/usr/sbin/mosquitto')) { reason = 'mosquitto is not installed'; return; }
  ({ browser, reason } = await launch());
  if (reason) return;
  folder = mkdtempSync(join(tmpdir(), 'chengmai-page-'));
  const port = 18080 + (process.pid % 2000);
  const { RUN_FOR, KILLS, KILL_EVERY, ...env } = process.env;
  county = spawn(join(ROOT, 'config/demo/run.sh'), [], {
    cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, STORE: 'embedded', RUN_DIR: relative(ROOT, join(folder, 'run')), HTTP_PORT: String(port),
      BUILD: relative(ROOT, BUILD), BIN: relative(ROOT, BIN) },
  });
  ended = new Promise((resolve) => county.on('exit', (code, signal) => resolve(signal || code)));
  for (const stream of [county.stdout, county.stderr]) stream.on('data', (data) => { output = (output + data).slice(-20000); });
});

// Asks the whole group to stop, as Ctrl-C does, and waits; the runner stops its own children.
after(async () => {
  if (browser) await browser.close();
  if (county && county.exitCode === null) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL']) {
      try { process.kill(-county.pid, signal); } catch { break; }
      const gone = await Promise.race([ended, new Promise((resolve) => { setTimeout(() => resolve('no'), 40000).unref(); })]);
      if (gone !== 'no') break;
    }
  }
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('a running county: values change, an incident raises an alarm, it is acknowledged', { timeout: 180000 }, async (context) => {
  if (reason) { context.skip(reason); return; }
  const { url, user, password } = await waitFor('the dashboard line', 90, dashboard);
  const page = await open(browser, url, { viewport: { width: 1440, height: 1000 } });
  await signIn(page, user, password);
  const cod = '[data-point="leachate.analyser.cod"]';
  await page.waitForSelector(cod, { timeout: 20000 });
  const first = await page.getAttribute(cod, 'data-value');
  await page.waitForFunction(([selector, old]) => {
    const node = document.querySelector(selector);
    return node.dataset.value !== '' && node.dataset.value !== old;
  }, [cod, first], { timeout: 20000 });
  assert.equal(await page.getAttribute('html', 'data-conn'), 'live');

  const row = '[data-alarm="leachate-cod-high"]';
  await page.waitForSelector(`${row}[data-alarm-state^=unack]`, { timeout: 60000 });
  await page.click(cod);
  await page.waitForSelector('.trend svg.chart .mean', { timeout: 20000 });
  await page.click(`${row} .ack`);
  // Acknowledged while active, or normal because it had returned meanwhile: not unacknowledged.
  await page.waitForFunction((selector) => {
    const node = document.querySelector(selector);
    return !node || !node.dataset.alarmState.startsWith('unack');
  }, row, { timeout: 20000 });

  mkdirSync(join(BUILD, 'results'), { recursive: true });
  await page.screenshot({ path: join(BUILD, 'results', 'page.png'), fullPage: true });
  assert.deepEqual(page.complaints, []);
  assert.ok(readFileSync(join(folder, 'run', 'operator.password'), 'utf8').trim().length >= 8);
});
