// The shapes of priorities: octagon 1, triangle 2, diamond 3, circle 4. Shape and digit carry the
// meaning, colour comes third; hollow says that the condition has returned.

import { s } from './dom.js';
import { t } from './i18n.js';

const SHAPES = {
  1: () => s('polygon', { points: '8.3,2 15.7,2 22,8.3 22,15.7 15.7,22 8.3,22 2,15.7 2,8.3' }),
  2: () => s('polygon', { points: '12,1.5 23,21.5 1,21.5' }),
  3: () => s('polygon', { points: '12,1 23,12 12,23 1,12' }),
  4: () => s('circle', { cx: 12, cy: 12, r: 10.5 }),
};

// Priority words as rules write them.
const NUMBERS = { critical: 1, high: 2, low: 3, diagnostic: 4 };

// An unknown priority is taken for the highest: nobody may overlook it.
export const prioNumber = (word) => NUMBERS[word] || 1;

export function symbol(prio, look = 'steady') {
  return s('svg', {
    class: `prio p${prio} ${look}`, viewBox: '0 0 24 24', width: 24, height: 24,
    role: 'img', 'aria-label': t(`prio.${prio}`),
  }, SHAPES[prio](), s('text', { x: 12, y: prio === 2 ? 18.5 : 16.4 }, prio));
}

export const lookOf = (state) => ({
  unack_active: 'blink', latched_unack: 'blink', unack_returned: 'hollow', latched_acked: 'hollow',
}[state] || 'steady');
