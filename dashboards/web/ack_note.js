// Critical alarms are acknowledged with a second look: a dialog that names the alarm and takes a
// note. Nobody is forced to write in an emergency.

import { h } from './dom.js';
import { t } from './i18n.js';

// The note ('' when none was written), or null when the person turned back.
export function askNote(what) {
  return new Promise((resolve) => {
    const note = h('input', { id: 'ack-note', maxlength: 200, autocomplete: 'off' });
    const dialog = h('dialog', { class: 'note-dialog', 'aria-label': t('ack.critical') },
      h('form', { method: 'dialog' },
        h('h2', {}, t('ack.critical')), h('p', {}, what),
        h('label', { for: 'ack-note' }, t('ack.note')), note,
        h('div', { class: 'buttons' },
          h('button', { class: 'primary needs-live', type: 'submit', value: 'yes' }, t('ack')),
          h('button', { type: 'submit', value: 'no', formnovalidate: true }, t('cancel')))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' ? note.value.trim() : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    note.focus();
  });
}
