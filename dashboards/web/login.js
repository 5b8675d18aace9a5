// The form that asks who is there.

import { h } from './dom.js';
import { t } from './i18n.js';
import { get, post } from './api.js';

// done(me) after a success; `note` says why one has to sign in again.
export function loginForm(done, note, languageButton) {
  const error = h('p', { class: 'form-error', role: 'alert' }, note || '');
  const user = h('input', { id: 'user', name: 'user', autocomplete: 'username', required: true,
    maxlength: 64, autocapitalize: 'none', spellcheck: 'false' });
  const password = h('input', { id: 'password', name: 'password', type: 'password', required: true,
    maxlength: 256, autocomplete: 'current-password' });
  const button = h('button', { class: 'primary', type: 'submit' }, t('login.go'));

  async function submit(event) {
    event.preventDefault();
    error.textContent = '';
    button.disabled = true;
    let entered = false; // the password was right
    try {
      await post('login', { user: user.value.trim(), password: password.value }, { always: true });
      entered = true;
      done(await get('me'));
    } catch (failure) {
      error.textContent = failure.status === 401 ? t(entered ? 'login.insecure' : 'login.wrong')
        : failure.kind === 'unknown' ? t('conn.lost') : failure.why;
      password.value = '';
      password.focus();
    } finally {
      button.disabled = false;
    }
  }

  return h('main', { class: 'login' },
    h('form', { on: { submit }, 'aria-label': t('login.head') },
      h('h1', {}, t('title'), ' ', h('small', {}, t('subtitle'))),
      h('label', { for: 'user' }, t('login.user')), user,
      h('label', { for: 'password' }, t('login.password')), password,
      error, button, languageButton));
}
