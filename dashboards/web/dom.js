// Building and patching the document. Everything from outside becomes a text node or an attribute
// value, never markup, so a name with tags in it is shown as it is written.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'on') {
      for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// h('button', {class: 'ack', on: {click}}, 'text', node, …)
export const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

// The same for SVG.
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Both touch the document only when something is different: a page of 1,500 values ticks twice a
// second.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

// Says something to screen readers; urgent things interrupt.
export function announce(text, urgent) {
  document.getElementById(urgent ? 'shout' : 'say').textContent = text;
}

// Table with a head row; cells are texts or nodes. The caption is its accessible name.
export function table(caption, heads, rows) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', {},
      h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, heads.map((text) => h('th', { scope: 'col' }, text)))),
      h('tbody', {}, rows.map((row) => h('tr', row.attributes || {},
        row.cells.map((cell) => h('td', {}, cell)))))));
}
