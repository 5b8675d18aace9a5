// Starting Chromium for a test, or saying why it cannot be started.

import { existsSync } from 'node:fs';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// {browser} or {reason}
export async function launch() {
  if (!existsSync(CHROMIUM)) return { reason: `${CHROMIUM} is not installed` };
  let chromium;
  try {
    ({ chromium } = await import('playwright-core'));
  } catch {
    return { reason: 'playwright-core is not installed: make browser-deps' };
  }
  return { browser: await chromium.launch({ executablePath: CHROMIUM, args: FLAGS }) };
}

// A new page that collects what the page itself complains about.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ locale: 'zh-CN', timezoneId: 'America/New_York', ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser's own note of a failed request (401 before login, a dead server) is no fault of the page.
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text())) page.complaints.push(message.text());
  });
  await page.goto(url);
  return page;
}

export async function signIn(page, user, password) {
  await page.fill('#user', user);
  await page.fill('#password', password);
  await page.click('button[type=submit]');
  await page.waitForSelector('[data-conn=live] [data-point]', { timeout: 20000 });
}
