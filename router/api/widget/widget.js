// <notification-bell>: a bell with its user's notifications, live.
//
//   <script src="https://router.example.org/widget.js" defer></script>
//   <notification-bell token="…"></notification-bell>
//
// Attributes: `token` (the user's JWT), `api` (the address of the HTTP API; left out, where the script came from), `customer` (only
//   what is about this one), `poll-seconds` (15), `theme` (`light` or `dark`; left out, as the system has it).
// Properties: `api`, `token`, `customer`; `tokenProvider`, a function that gives a token or a promise of one, called when there is
//   none, when it is refused and when a stream is; `texts`, an object of what TEXTS has, in another language; read-only `unread`, `notifications`
//   and `connection` (`live`, `polling` or `off`).
// Methods: `open()`, `close()`, `refresh()`, `markAllRead()`.
// Events: `notification` (detail: a new one), `unread` (detail: {count}), `connection` (detail: {state}).
// Style: `--notification-accent`, `--notification-badge`; the bell has the colour of the text around it.
// The page's Content-Security-Policy needs the API in `script-src` and `connect-src`, and nothing unsafe. Where it has
//   `require-trusted-types-for 'script'`, it needs `trusted-types notification-bell`.

const HOME = document.currentScript?.src ? new URL('.', document.currentScript.src).href : document.baseURI;
const MOST_SHOWN = 99; // A greater count is shown as `99+`.
const CLOCK_SECONDS = 30;
const LEAST_ROOM = 320; // pixels below the bell; with less of them the panel opens where there is more

const TEXTS = {
  title: 'Notifications',
  bell: (unread) => (unread ? `Notifications, ${unread} unread` : 'Notifications'),
  arrived: (title) => `New notification: ${title}`,
  empty: 'You are all caught up',
  emptyMore: 'New notifications appear here by themselves.',
  loading: 'Loading…',
  more: 'Show older ones',
  markAll: 'Mark all as read',
  mark: 'Mark as read',
  unmark: 'Mark as unread',
  remove: 'Delete',
  unread: 'Unread:',
  link: 'Open',
  close: 'Close',
  retry: 'Try again',
  signedOut: 'Sign in to see your notifications.',
  refused: 'Your session has ended. Sign in again to see your notifications.',
  failed: 'The notifications cannot be reached just now.',
};

class NotificationBell extends HTMLElement {
  static observedAttributes = ['api', 'token', 'customer', 'poll-seconds'];

  #client = new Client({
    changed: () => this.#show(),
    arrived: (items) => this.#announce(items),
    connected: (state) => this.#tell('connection', { state }),
  });
  #texts = TEXTS;
  #toldUnread = 0;
  #rows = new Map(); // id to its <li>
  #active = null; // the row that Tab leads to
  #isOpen = false;
  #isStarting = false;
  #clock = null;
  #parts;

  constructor() {
    super();
    styled(this.attachShadow({ mode: 'open' }));
    this.#build();
  }

  connectedCallback() {
    for (const name of ['api', 'token', 'customer', 'tokenProvider', 'texts']) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name]; // It was set before this script had come.
      delete this[name];
      this[name] = value;
    }
    document.addEventListener('visibilitychange', this.#seen);
    document.addEventListener('pointerdown', this.#pressed);
    window.addEventListener('online', this.#seen);
    this.#start();
  }

  disconnectedCallback() {
    document.removeEventListener('visibilitychange', this.#seen);
    document.removeEventListener('pointerdown', this.#pressed);
    window.removeEventListener('online', this.#seen);
    this.close();
    this.#client.stop();
  }

  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === 'token') this.token = value;
    else this.#start();
  }

  get api() {
    return new URL(this.getAttribute('api') || '.', HOME).href.replace(/\/+$/, '');
  }

  set api(value) {
    this.#reflect('api', value);
  }

  get customer() {
    return this.getAttribute('customer') || null;
  }

  set customer(value) {
    this.#reflect('customer', value);
  }

  get token() {
    return this.#client.token;
  }

  /** Never written into the document. Null signs out. */
  set token(value) {
    const before = this.#client.token;
    if ((value || null) === before) return;
    if (value && before && subjectOf(value) === subjectOf(before)) return this.#client.renew(value);
    this.#client.token = value || null;
    this.#start();
  }

  get tokenProvider() {
    return this.#client.provider;
  }

  set tokenProvider(value) {
    this.#client.provider = value ?? null;
    this.#start();
  }

  get texts() {
    return this.#texts;
  }

  set texts(value) {
    this.#texts = { ...TEXTS, ...value };
    const wasOpen = this.#isOpen;
    this.close();
    this.#build();
    this.#show();
    if (wasOpen) this.open();
  }

  get unread() {
    return this.#client.inbox.unread;
  }

  get notifications() {
    return this.#client.inbox.items.map((item) => ({ ...item }));
  }

  get connection() {
    return this.#client.connection;
  }

  open() {
    if (this.#isOpen) return;
    const { bell, panel } = this.#parts;
    this.#isOpen = true;
    bell.setAttribute('aria-expanded', 'true');
    panel.hidden = false;
    this.#show();
    this.#place();
    this.#clock = setInterval(() => this.#show(), CLOCK_SECONDS * 1000);
    panel.focus();
  }

  close() {
    if (!this.#isOpen) return;
    const { bell, panel } = this.#parts;
    const hadFocus = panel.contains(this.shadowRoot.activeElement);
    this.#isOpen = false;
    clearInterval(this.#clock);
    bell.setAttribute('aria-expanded', 'false');
    panel.hidden = true;
    if (hadFocus) bell.focus();
  }

  refresh() {
    return this.#client.sync();
  }

  markAllRead() {
    return this.#client.markAllRead();
  }

  /** Once for all that is set in one go. */
  #start() {
    if (this.#isStarting) return;
    this.#isStarting = true;
    queueMicrotask(() => {
      this.#isStarting = false;
      if (!this.isConnected) return;
      const client = this.#client;
      client.api = this.api;
      client.customer = this.customer;
      client.pollSeconds = Number(this.getAttribute('poll-seconds')) || 0;
      client.start();
    });
  }

  // Showing

  #build() {
    const texts = this.#texts;
    const badge = h('span', { class: 'badge', 'aria-hidden': 'true', hidden: true });
    const bell = h(
      'button',
      { class: 'bell', part: 'bell', type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', 'aria-controls': 'panel' },
      icon(BELL),
      badge,
    );
    bell.addEventListener('click', () => (this.#isOpen ? this.close() : this.open()));
    const status = h('div', { class: 'quiet', role: 'status', 'aria-live': 'polite' });
    const markAll = button('action', texts.markAll, () => this.#markAll());
    const shut = button('tool shut', icon(CROSS), () => this.close(), texts.close);
    const problem = h('span');
    const retry = button('action', texts.retry, () => this.refresh());
    const notice = h('div', { class: 'notice', role: 'alert', hidden: true }, problem, retry);
    const list = h('ul', { class: 'list', role: 'list' });
    const nothing = h('div', { class: 'nothing', hidden: true });
    const more = button('more', texts.more, () => this.#loadMore());
    const panel = h(
      'div',
      { class: 'panel', part: 'panel', id: 'panel', role: 'dialog', 'aria-label': texts.title, tabindex: '-1', hidden: true },
      h('header', {}, h('h2', {}, texts.title), markAll, shut),
      notice,
      h('div', { class: 'scroll' }, list, nothing, more),
    );
    panel.addEventListener('keydown', (event) => this.#pressedKey(event));
    panel.addEventListener('focusin', (event) => this.#activate(event.target.closest('.item')));
    panel.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !this.shadowRoot.contains(relatedTarget)) this.close();
    });
    this.#rows.clear();
    this.#parts?.root.remove();
    const root = h('div', { class: 'root' }, bell, status, panel);
    this.#parts = { root, bell, badge, status, panel, markAll, problem, retry, notice, list, nothing, more };
    this.shadowRoot.append(root);
  }

  /** Bring what is on the screen in line with what is known. */
  #show() {
    const { bell, badge, markAll, problem, retry, notice, more } = this.#parts;
    const client = this.#client;
    const { unread, items, cursor } = client.inbox;
    bell.setAttribute('aria-label', this.#texts.bell(unread));
    badge.textContent = unread > MOST_SHOWN ? `${MOST_SHOWN}+` : String(unread);
    badge.hidden = unread === 0;
    markAll.hidden = unread === 0;
    const said = this.#texts[client.problem] ?? client.problem;
    if (problem.textContent !== said) problem.textContent = said;
    notice.hidden = !said;
    retry.hidden = !client.isRunning;
    more.hidden = cursor === null;
    if (this.#isOpen) this.#showRows(items);
    if (unread === this.#toldUnread) return;
    this.#toldUnread = unread;
    this.#tell('unread', { count: unread });
  }

  #showRows(items) {
    const { list } = this.#parts;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let place = list.firstElementChild;
    for (const item of items) {
      const row = this.#rows.get(item.id) ?? this.#row(item);
      if (row === place) place = place.nextElementSibling;
      else list.insertBefore(row, place);
      row.classList.toggle('unread', !item.read);
      row.querySelector('.quiet').hidden = item.read;
      row.querySelector('time').textContent = this.#ago(item.created_at);
      const mark = row.querySelector('.mark');
      mark.title = item.read ? this.#texts.unmark : this.#texts.mark;
      mark.setAttribute('aria-label', mark.title);
      mark.replaceChildren(icon(item.read ? DOT : CHECK));
    }
    if (!this.#active?.isConnected) this.#activate(list.firstElementChild);
    this.#showNothing();
  }

  #showNothing() {
    const { nothing } = this.#parts;
    const { isRunning, inbox, problem } = this.#client;
    const { empty, emptyMore, loading, signedOut } = this.#texts;
    const [strong, more] = !isRunning ? [signedOut, ''] : inbox.isLoaded ? [empty, emptyMore] : [loading, ''];
    nothing.hidden = inbox.items.length > 0 || (problem !== '' && !inbox.isLoaded);
    if (nothing.dataset.says === strong) return;
    nothing.dataset.says = strong;
    nothing.replaceChildren(icon(BELL), h('strong', {}, strong), more);
  }

  #row(item) {
    const texts = this.#texts;
    const made = new Date(item.created_at);
    const time = h('time', { datetime: item.created_at });
    if (!Number.isNaN(made.getTime())) time.title = made.toLocaleString(this.#locale());
    const link = h('a', { class: 'link', dir: 'auto' }, item.link_text || texts.link);
    const meta = leadTo(link, item.link_url) ? [time, link] : [time];
    const isRead = () => this.#client.inbox.find(item.id)?.read;
    const row = h(
      'li',
      { class: 'item', tabindex: '-1', 'data-id': item.id },
      h('h3', {}, h('span', { class: 'quiet' }, `${texts.unread} `), h('span', { class: 'title', dir: 'auto' }, item.title ?? '')),
      h('div', { class: 'content', dir: 'auto' }, contentOf(item.content ?? '')),
      h(
        'div',
        { class: 'foot' },
        h('p', { class: 'meta' }, ...meta),
        button('tool mark', '', () => this.#client.mark(item.id, !isRead()), texts.mark),
        button('tool remove', icon(CROSS), () => this.#remove(item.id), texts.remove),
      ),
    );
    row.addEventListener('click', (event) => event.target.closest('.tool') || this.#take(item.id));
    this.#rows.set(item.id, row);
    setTabIndex(row, -1);
    return row;
  }

  #announce(items) {
    this.#show();
    for (const item of items.filter((each) => !each.read).reverse()) {
      this.#parts.status.textContent = this.#texts.arrived(item.title ?? '');
      this.#tell('notification', { ...item });
    }
  }

  /** Put the panel where there is room for it. */
  #place() {
    const { bell, panel } = this.#parts;
    const at = bell.getBoundingClientRect();
    const below = window.innerHeight - at.bottom;
    const isAbove = below < LEAST_ROOM && at.top > below;
    panel.classList.toggle('above', isAbove);
    panel.classList.remove('flipped');
    panel.style.setProperty('--room', `${Math.max(200, (isAbove ? at.top : below) - 16)}px`);
    panel.style.setProperty('--top', `${Math.max(8, at.bottom + 8)}px`);
    panel.style.setProperty('--bottom', `${Math.max(8, window.innerHeight - at.top + 8)}px`);
    const { left, right } = panel.getBoundingClientRect();
    panel.classList.toggle('flipped', left < 0 || right > document.documentElement.clientWidth);
  }

  // What the user does

  /** The user has looked at this one. */
  #take(id) {
    this.#rows.get(id)?.classList.add('opened');
    this.#client.mark(id, true);
  }

  #markAll() {
    this.#parts.panel.focus(); // The button goes.
    this.markAllRead();
  }

  #remove(id) {
    const row = this.#rows.get(id);
    const next = row.nextElementSibling ?? row.previousElementSibling ?? this.#parts.panel;
    if (row.contains(this.shadowRoot.activeElement)) next.focus();
    this.#client.remove(id);
  }

  async #loadMore() {
    const { more, panel } = this.#parts;
    const last = this.#client.inbox.items.at(-1)?.id;
    const hadFocus = this.shadowRoot.activeElement === more;
    more.disabled = true;
    await this.#client.loadMore();
    more.disabled = false;
    if (hadFocus && this.#isOpen) (this.#rows.get(last)?.nextElementSibling ?? panel).focus();
  }

  #pressedKey(event) {
    const { list, panel } = this.#parts;
    const row = event.target.closest('.item');
    const moves = {
      ArrowDown: row ? row.nextElementSibling : list.firstElementChild,
      ArrowUp: row?.previousElementSibling,
      Home: list.firstElementChild,
      End: list.lastElementChild,
    };
    const isOnRow = row !== null && event.target === row;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === 'Escape') this.close();
    else if (event.key in moves) (moves[event.key] ?? panel).focus();
    else if (isOnRow && (event.key === 'Enter' || event.key === ' ')) this.#take(row.dataset.id);
    else if (isOnRow && event.key === 'Delete') this.#remove(row.dataset.id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Of all rows, Tab leads to one and to what is in it; arrow keys lead to the others. */
  #activate(row) {
    if (!row || row === this.#active) return;
    if (this.#active) setTabIndex(this.#active, -1);
    setTabIndex(row, 0);
    this.#active = row;
  }

  #pressed = (event) => {
    if (!event.composedPath().includes(this)) this.close();
  };

  #seen = () => {
    if (document.hidden) this.#client.rest();
    else this.#client.wake();
  };

  // Small things

  #ago(text) {
    const seconds = (Date.now() - Date.parse(text)) / 1000;
    if (Number.isNaN(seconds)) return '';
    const units = { year: 31_536_000, month: 2_592_000, week: 604_800, day: 86_400, hour: 3600, minute: 60 };
    const [unit, size] = Object.entries(units).find((each) => seconds >= each[1]) ?? ['second', Infinity];
    const format = new Intl.RelativeTimeFormat(this.#locale(), { numeric: 'auto' });
    return format.format(-Math.max(0, Math.floor(seconds / size)), unit);
  }

  #locale() {
    const tag = this.closest('[lang]')?.lang || navigator.language;
    try {
      return Intl.getCanonicalLocales(tag)[0];
    } catch {
      return undefined; // What stands in `lang` is no language.
    }
  }

  #reflect(name, value) {
    if (value == null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

function button(name, content, act, label) {
  const made = h('button', { class: name, type: 'button', title: label, 'aria-label': label }, content);
  made.addEventListener('click', act);
  return made;
}

function setTabIndex(row, index) {
  for (const one of [row, ...row.querySelectorAll('a, button, summary')]) one.tabIndex = index;
}

if (!customElements.get('notification-bell')) customElements.define('notification-bell', NotificationBell);
