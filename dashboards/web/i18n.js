// Language of the page, and how times, ages and numbers are written. Times are UTC+8, 24 h, the
// plant's zone, whatever zone the browser is in.

import { TEXTS, POINT_WORDS } from './texts.js';

const KEY = 'chengmai.lang';
const ZONE_MS = 8 * 3600 * 1000;

function remembered() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

let current = remembered() || (/^zh\b/i.test(navigator.language || '') ? 'zh' : 'en');
apply();

function apply() {
  document.documentElement.lang = current === 'zh' ? 'zh-CN' : 'en';
}

export const lang = () => current;

export function setLang(next) {
  current = next;
  try { localStorage.setItem(KEY, next); } catch { /* a private window: it holds for this page */ }
  apply();
}

// t('gap.lost', {n: 3}): the text of that key, with {n} filled in; the key itself when unknown.
export function t(key, values = {}) {
  const pair = TEXTS[key];
  const text = pair ? pair[current === 'zh' ? 0 : 1] : key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

export const has = (key) => key in TEXTS;

// A word of the wire (cause, state …) in the reader's language; unknown ones are shown as they are.
export const word = (prefix, value) =>
  (value === null || value === undefined || value === '' ? ''
    : has(`${prefix}.${value}`) ? t(`${prefix}.${value}`) : String(value));

// "oxygen demand 化学需氧量" holds both languages; a bare tag is looked up.
export function pointName(point) {
  const name = String(point.name || point.id);
  const tag = String(point.id).split('.').pop();
  const both = /^([\x20-\x7e]*[\x21-\x7e])\s+([^\x00-\x7f].*|\S*[^\x00-\x7f].*)$/.exec(name);
  if (both) return current === 'zh' ? both[2] : both[1];
  const known = POINT_WORDS[tag];
  if (known && (name === tag || name === point.id || name.endsWith(`.${tag}`))) {
    return known[current === 'zh' ? 0 : 1];
  }
  return name;
}

export const siteName = (site) => word('site', site);

const two = (n) => String(n).padStart(2, '0');

export function clockTime(ms, seconds = true) {
  if (!Number.isFinite(ms)) return '—';
  const d = new Date(ms + ZONE_MS);
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}${seconds ? `:${two(d.getUTCSeconds())}` : ''}`;
}

export function date(ms) {
  if (!Number.isFinite(ms)) return '—';
  const d = new Date(ms + ZONE_MS);
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
}

// The date is left out only where it is today's.
export const dateTime = (ms, now) => (!Number.isFinite(ms) ? '—' : Number.isFinite(now) && date(ms) === date(now) ? clockTime(ms) : `${date(ms)} ${clockTime(ms)}`);

export function duration(ms) {
  if (!Number.isFinite(ms)) return '—';
  const total = Math.max(0, Math.floor(ms / 1000));
  const days = Math.floor(total / 86400);
  const rest = `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
  return days > 0 ? t('days', { n: days, rest }) : rest;
}

export function age(seconds) {
  if (!Number.isFinite(seconds)) return '—';
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  if (seconds < 120) return `${Math.floor(seconds)}\u00a0s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}\u00a0h`;
  return `${Math.floor(seconds / 86400)}\u00a0d`;
}

// The decimals that a figure of a whole type has, because its register is scaled.
const decimalsOf = (value) => Math.min(6, (/\.(\d+)$/.exec(String(value)) || ['', ''])[1].length);

// Four figures that do not dance: decimals follow the size. Whole types have as many as were ever
// seen of them (`memory` keeps that), bits are yes or no.
export function number(value, type = 'float', memory = {}) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return String(value);
  if (/^(bit|bool)$/.test(type) && (value === 0 || value === 1)) return t(value === 1 ? 'yes' : 'no');
  if (!/float|double|real/.test(type)) {
    memory.decimals = Math.max(memory.decimals || 0, decimalsOf(value));
    return value.toFixed(memory.decimals);
  }
  const size = Math.abs(value);
  if (size >= 1e12 || (size > 0 && size < 1e-3)) return value.toExponential(3);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}
