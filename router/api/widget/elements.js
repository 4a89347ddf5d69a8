// Makes elements; and of HTML from elsewhere only such as a page may hold. The API's content is sanitised: this makes sure, since a
// page trusts what stands in it.

const MAX_DEPTH = 60; // elements inside one another
const KEPT = new Set(
  ('a b blockquote br code del details div em hr i li ol p pre s span strong sub summary sup ' +
    'table tbody td th thead tr u ul').split(' '),
);
const DROPPED = new Set(
  ('applet audio base button canvas embed form frame frameset head iframe input link map meta noembed noframes noscript ' +
    'object option script select source style template textarea title track video').split(' '),
);
const TAG = /<(\/?)([a-z][a-z0-9]*)\b((?:"[^"]*"|'[^']*'|[^'"<>])*)>/gi;
const ATTRIBUTE = /\s(?:href|alt)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+)/gi;
let policy = null;
try {
  // Only ever for DOMParser, whose documents run nothing and load nothing.
  policy = window.trustedTypes?.createPolicy('notification-bell', { createHTML: (html) => html }) ?? null;
} catch {
  // The page allows no policy of this name: content is shown as plain text.
}

/** What `html` says, as nodes of the kinds that are kept. */
function contentOf(html) {
  const content = document.createDocumentFragment();
  try {
    const text = quietened(html);
    const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, 'text/html');
    copy(parsed.body, content, 0);
  } catch {
    content.append(html.replace(/<[^>]*>/g, ' '));
  }
  return content;
}

/** `html` without what is not kept anyway: a parser runs none of it, but reports it to the page's Content-Security-Policy. */
function quietened(html) {
  return html.replace(TAG, (_, slash, name, attributes) =>
    DROPPED.has(name.toLowerCase()) ? `<${slash}template>` : `<${slash}${name}${(attributes.match(ATTRIBUTE) ?? []).join('')}>`,
  );
}

function copy(from, to, depth) {
  if (depth > MAX_DEPTH) return;
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || node.namespaceURI !== 'http://www.w3.org/1999/xhtml') continue;
    const name = node.localName;
    if (DROPPED.has(name)) continue;
    if (name === 'img') to.append(node.getAttribute('alt') ?? '');
    const made = /^h[1-6]$/.test(name) ? h('p', { class: 'heading' }) : KEPT.has(name) ? h(name) : null;
    if (name === 'a') leadTo(made, node.getAttribute('href'));
    if (made) to.append(made);
    copy(node, made ?? to, depth + 1);
  }
}

/** Let `anchor` lead to an address of the web, or nowhere. Says whether it leads anywhere. */
function leadTo(anchor, address) {
  let url;
  try {
    url = new URL(address ?? '');
  } catch {
    return false; // A relative one has no page here that it could start from.
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return false;
  anchor.href = url.href;
  anchor.rel = 'noopener noreferrer';
  if (url.origin !== location.origin) anchor.target = '_blank';
  return true;
}

function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function icon(path) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(svg.namespaceURI, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

const BELL = 'M18 9a6 6 0 0 0-12 0c0 6-2.5 7.5-2.5 7.5h17S18 15 18 9M10 20a2.2 2.2 0 0 0 4 0';
const CHECK = 'M5 12.5l4.5 4.5L19 7.5';
const DOT = 'M12 7.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9';
const CROSS = 'M6.5 6.5l11 11M17.5 6.5l-11 11';
