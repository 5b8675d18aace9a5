// Takes pictures of the page for people to look at: node shots.mjs FOLDER
import { mkdirSync } from 'node:fs';
import { FakeServer } from './fake_server.mjs';
import { launch, open, signIn } from './browser.mjs';

const folder = process.argv[2] || '.';
mkdirSync(folder, { recursive: true });
const server = new FakeServer();
await server.start();
server.set('gas.rtu.p_out1', { quality: 'bad', value: null, cause: 'comm_timeout' });
server.set('leachate.plc.flux', { quality: 'uncertain', cause: 'flat_line' });
const { browser } = await launch();
const shot = async (name, options, then) => {
  const page = await open(browser, server.url, options);
  await signIn(page, 'operator', 'secret');
  if (then) await then(page);
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  if (page.complaints.length) console.log(name, page.complaints);
  await page.context().close();
};
const trend = (page) => page.click('[data-point="leachate.analyser.cod"]');
await shot('light', { viewport: { width: 1440, height: 900 } });
await shot('trend-light', { viewport: { width: 1440, height: 900 } }, trend);
await shot('dark-en', { viewport: { width: 1440, height: 900 }, colorScheme: 'dark', locale: 'en-GB' }, trend);
await shot('phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, trend);
await shot('lost', { viewport: { width: 1440, height: 900 } }, async (page) => {
  server.frozen = true;
  await page.waitForSelector('[data-conn=lost]', { timeout: 9000 });
});
await browser.close();
await server.stop();
