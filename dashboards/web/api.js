// Requests to the centre. Reads may be repeated; a command is sent once, only while the page is
// live, and is never kept for later.

const BASE = '/api/v1/';
const TIMEOUT_MS = 8000;

// `kind`: locked (not sent), unknown (no answer), refused (the centre said no), failed (a read).
export class ApiError extends Error {
  constructor(kind, status, why) {
    super(why || kind);
    Object.assign(this, { kind, status, why: why || '' });
  }
}

let mayPost = () => true;
let unauthorised = () => {};

export function configureApi({ guard, onUnauthorised }) {
  mayPost = guard;
  unauthorised = onUnauthorised;
}

async function exchange(path, options) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch(BASE + path, {
      credentials: 'same-origin', cache: 'no-store', signal: abort.signal, ...options,
    });
    const text = await reply.text();
    let body = null;
    try { body = text === '' ? null : JSON.parse(text); } catch { body = null; }
    return { status: reply.status, ok: reply.ok, body };
  } finally {
    clearTimeout(timer);
  }
}

// What a problem document says, in short.
const whyOf = (reply) => {
  const problem = reply.body || {};
  return [problem.code, problem.detail || problem.title || `HTTP ${reply.status}`].filter(Boolean).join(': ');
};

// `also`: a status besides 2xx whose body is wanted.
export async function get(path, also) {
  let reply;
  try { reply = await exchange(path, {}); } catch { throw new ApiError('failed', 0, 'no answer'); }
  if (reply.ok || reply.status === also) return reply.body || {};
  if (reply.status === 401 && path !== 'me') unauthorised();
  throw new ApiError('failed', reply.status, whyOf(reply));
}

export async function post(path, body, { always = false } = {}) {
  if (!always && !mayPost()) throw new ApiError('locked', 0);
  let reply;
  try {
    reply = await exchange(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Chengmai': '1' },
      body: JSON.stringify(body || {}),
    });
  } catch {
    throw new ApiError('unknown', 0);
  }
  if (reply.ok) return reply.body || {};
  if (reply.status === 401 && path !== 'login') unauthorised();
  throw new ApiError('refused', reply.status, whyOf(reply));
}
