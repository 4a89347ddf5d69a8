// Keeps an Inbox true: by a stream of server-sent events, by polling where that fails, and by what the API says to each change.

const PAGE = 20; // notifications fetched at once
const MAX_PAGE = 200; // as many as the API gives
const POLL_SECONDS = 15;
const HIDDEN_POLL_SECONDS = 60;
const HIDDEN_SECONDS = 60; // A tab that nobody sees keeps its stream so long: browsers open only six to a host (HTTP/1.1).
const ANSWER_SECONDS = 20;
const PATIENCE_SECONDS = 4; // how long a stream may take to open before it is polled
const RETRY_SECONDS = [5, 300]; // between attempts, doubled from the one to the other
const RESYNC_SECONDS = 300; // A connection that died without a word tells nothing.
const SOON_SECONDS = 0.3; // so that several events make one request
const CHECK_SECONDS = 2; // after an event, when what it raced with has settled

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get isOfToken() {
    return this.status === 401 || this.status === 403;
  }
}

class Client {
  inbox = new Inbox();
  problem = ''; // `refused`, `failed`, or a sentence of the API's
  connection = 'off'; // `live` or `polling`
  api = '';
  customer = null;
  pollSeconds = 0;
  token = null;
  provider = null; // gives a token, or a promise of one
  #tell; // changed(), arrived(items), connected(state)
  #run = null; // Its identity tells answers of before from those of now. Null while there is nobody to ask for.
  #isRefused = false;
  #source = null;
  #lastEventId = '';
  #failures = 0;
  #liveFailures = 0;
  #timers = new Map();
  #writes = new Set();
  #syncing = null;
  #renewal = null;
  #isStale = false;

  constructor(tell) {
    this.#tell = tell;
  }

  get isRunning() {
    return this.#run !== null;
  }

  /** Begin afresh, for whoever it is now. */
  start() {
    this.stop();
    this.inbox = new Inbox();
    this.#lastEventId = '';
    this.#failures = this.#liveFailures = 0;
    this.problem = '';
    if (this.token || this.provider) this.#go();
    this.#tell.changed();
  }

  stop() {
    this.#run = this.#syncing = null;
    this.#isRefused = false;
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#leave();
    this.#connected('off');
  }

  /** Go on with a new token of the same user. */
  renew(token) {
    this.token = token;
    this.#failures = this.#liveFailures = 0;
    if (this.#isRefused) this.#go();
    else this.wake();
  }

  /** Somebody looks, or the network is back. */
  wake() {
    if (!this.#run) return;
    this.#clear('hidden');
    if (this.connection === 'polling') this.#poll();
    if (!this.#source) this.#connect();
    this.sync();
  }

  /** Nobody looks. */
  rest() {
    if (!this.#run) return;
    this.#once('hidden', HIDDEN_SECONDS, () => {
      this.#leave();
      this.#clear('live');
      this.#poll();
    });
  }

  // Changing

  async mark(id, read) {
    const { inbox } = this;
    if (!inbox.mark(id, read)) return;
    this.#tell.changed();
    if (!STORED.test(id)) return;
    const path = `/v1/notifications/${encodeURIComponent(id)}/read`;
    if (!(await this.#write('PATCH', path, {}, { read })) && inbox.mark(id, !read)) this.#tell.changed();
  }

  async markAllRead() {
    this.inbox.markAllRead();
    this.#tell.changed();
    await this.#write('POST', '/api/notifications/mark-all-as-read', { customer_id: this.customer });
    await this.sync();
  }

  async remove(id) {
    const { inbox } = this;
    const item = inbox.remove(id);
    if (!item) return;
    this.#tell.changed();
    if (!STORED.test(id)) return;
    if (!(await this.#write('DELETE', `/v1/notifications/${encodeURIComponent(id)}`))) {
      inbox.restore(item);
      this.#tell.changed();
    } else if (!inbox.items.length && inbox.cursor) this.sync();
  }

  /** Says whether it was done. What is not there any more is as good as done. */
  async #write(method, path, query, body) {
    const run = this.#run;
    const asked = this.#ask(method, path, query, body);
    this.#writes.add(asked);
    try {
      await asked;
      this.problem = '';
      return true;
    } catch (error) {
      if (error.status === 404) return true;
      this.problem = error.isOfToken ? 'refused' : (error instanceof Refusal && error.message) || 'failed';
      return false;
    } finally {
      this.#writes.delete(asked);
      this.inbox.touch(); // Whoever asked meanwhile may have an answer of before.
      if (run === this.#run) this.#checkSoon();
      this.#tell.changed();
    }
  }

  // Fetching

  async loadMore() {
    const { inbox } = this;
    const run = this.#run;
    const { version } = inbox;
    try {
      const query = { limit: PAGE, cursor: inbox.cursor, customer_id: this.customer };
      const page = await this.#ask('GET', '/v1/notifications', query);
      if (run !== this.#run) return;
      inbox.extend(page.notifications, page.next_cursor, version);
      this.problem = '';
    } catch (error) {
      if (run === this.#run) this.problem = error.isOfToken ? 'refused' : 'failed';
    }
    this.#tell.changed();
  }

  /** Fetch the list and the count; at most one such fetch is under way. */
  sync() {
    this.#clear('sync');
    if (!this.#run) return Promise.resolve();
    this.#isStale = true;
    this.#syncing ??= this.#fetchAll(this.#run);
    return this.#syncing;
  }

  async #fetchAll(run) {
    try {
      while (this.#isStale && run === this.#run) {
        await Promise.allSettled([...this.#writes]); // What is half written would be read so.
        this.#isStale = false;
        await this.#fetch(run);
      }
    } catch (error) {
      if (run === this.#run) this.#failed(error);
    } finally {
      if (run === this.#run) this.#syncing = null;
    }
  }

  async #fetch(run) {
    const { inbox } = this;
    const { version, isLoaded } = inbox;
    const about = { customer_id: this.customer };
    const limit = Math.min(Math.max(inbox.items.length, PAGE), MAX_PAGE);
    const [page, counted] = await Promise.all([
      this.#ask('GET', '/v1/notifications', { ...about, limit }),
      this.#ask('GET', '/api/notifications/unread-count', about),
    ]);
    if (run !== this.#run) return;
    const fresh = inbox.merge(page.notifications, page.next_cursor, version);
    if (inbox.version === version || !isLoaded) inbox.unread = inbox.unreadWith(counted.count);
    else this.#checkSoon();
    this.problem = '';
    this.#failures = 0;
    this.#tell.changed();
    if (fresh.length) this.#tell.arrived(fresh);
  }

  /** Two answers and an event may be of three moments: see, when they have settled, whether the count is right. */
  #checkSoon() {
    this.#once('check', CHECK_SECONDS, async () => {
      const { inbox } = this;
      const { version } = inbox;
      const about = { customer_id: this.customer };
      const counted = await this.#ask('GET', '/api/notifications/unread-count', about).catch(() => null);
      if (counted === null || inbox !== this.inbox || !this.#run) return;
      if (inbox.version !== version) this.#checkSoon();
      else if (inbox.unread !== inbox.unreadWith(counted.count)) this.sync();
    });
  }

  #failed(error) {
    this.problem = error.isOfToken ? 'refused' : 'failed';
    if (error.isOfToken && !this.provider) {
      this.stop(); // Until there is another token.
      this.#isRefused = true;
    } else if (!this.#timers.has('poll')) {
      this.#once('again', pause(this.#failures++), () => (this.#source ? this.sync() : this.#connect()));
    }
    this.#tell.changed();
  }

  async #ask(method, path, query = {}, body) {
    const address = this.#address(path, query);
    const token = await this.#freshToken();
    try {
      return await ask(address, token, method, body);
    } catch (error) {
      if (error.status !== 401 || !this.provider) throw error;
      return await ask(address, await this.#freshToken(token), method, body);
    }
  }

  #address(path, query) {
    const url = new URL(this.api + path);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    return url;
  }

  /** A token that is not `refused`. All who need a new one wait for the same. */
  async #freshToken(refused = null) {
    if (this.provider && (!this.token || this.token === refused)) {
      this.#renewal ??= this.#renewed();
      await this.#renewal;
    }
    if (!this.token) throw new Refusal(401, '');
    return this.token;
  }

  async #renewed() {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(reject, ANSWER_SECONDS * 1000, new Error('no token came'))));
    try {
      this.token = (await Promise.race([this.provider(), late])) || null;
    } finally {
      clearTimeout(timer);
      this.#renewal = null;
    }
  }

  // Live, or polling

  #go() {
    this.#run = {};
    this.#isRefused = false;
    this.#connect();
    if (document.hidden) this.rest();
  }

  async #connect(refused = null) {
    const run = this.#run;
    this.#leave();
    this.#clear('live');
    if (typeof EventSource !== 'function') return this.#poll();
    if (!this.#timers.has('poll')) this.#once('patience', PATIENCE_SECONDS, () => this.#poll());
    let token;
    try {
      token = await this.#freshToken(refused);
    } catch (error) {
      if (run === this.#run) this.#failed(error);
      return;
    }
    if (run !== this.#run || this.#source) return;
    const query = { access_token: token, last_event_id: this.#lastEventId };
    const source = (this.#source = new EventSource(this.#address('/v1/notifications/sse', query)));
    const unlessOld = (act) => (event) => source === this.#source && act(event);
    source.onopen = unlessOld(() => this.#opened());
    source.onerror = unlessOld(() => this.#broken(source, token));
    const on = (name, act) => source.addEventListener(name, unlessOld((event) => this.#heard(event, act)));
    on('message', (item) => this.#arrived(item));
    on('read', ({ id, read }) => this.inbox.mark(id, read) || this.#missing(id));
    on('deleted', ({ id }) => this.inbox.remove(id));
    on('reset', () => this.sync());
  }

  #opened() {
    this.#liveFailures = 0;
    this.#clear('patience');
    this.#clear('poll');
    this.#connected('live');
    this.#every('resync', RESYNC_SECONDS, () => this.sync());
    // The stream tells what came since the last event's id; but not every event has one.
    this.sync();
  }

  #broken(source, token) {
    if (source.readyState !== EventSource.CLOSED) {
      // The browser goes on trying by itself, with Last-Event-ID. Beside it the inbox is polled.
      if (this.#timers.has('poll')) return;
      if (!this.inbox.isLoaded) this.#poll();
      else this.#once('patience', PATIENCE_SECONDS, () => this.#poll());
      return;
    }
    this.#leave();
    if (!this.#timers.has('poll')) this.#poll();
    // A browser does not say why: it may have been the token.
    this.#once('live', pause(this.#liveFailures++), () => this.#connect(token));
  }

  #heard(event, act) {
    if (event.lastEventId) this.#lastEventId = event.lastEventId;
    act(JSON.parse(event.data));
    this.#tell.changed();
    this.#checkSoon();
  }

  async #arrived(item) {
    const run = this.#run;
    // One that is kept nowhere has no id.
    item.id ??= `passing-${this.inbox.version}`;
    if (this.customer && !this.inbox.find(item.id)) {
      // The stream is about all customers of the user, and does not say which.
      item = await this.#ask('GET', `/v1/notifications/${encodeURIComponent(item.id)}`).catch(() => null);
      if (run !== this.#run || item?.customer_id !== this.customer) return;
    }
    // One that comes late stands among those that are not fetched yet: it counts, by the check, and is not shown.
    if (STORED.test(item.id) && !this.inbox.isWithin(item.id)) return;
    if (this.inbox.add(item)) this.#tell.arrived([item]);
  }

  /** Have the list fetched if this one should stand in it: it was read elsewhere before we were told of it. */
  #missing(id) {
    if (!this.inbox.find(id) && this.inbox.isWithin(id)) this.#once('sync', SOON_SECONDS, () => this.sync());
  }

  #poll() {
    this.#clear('patience');
    this.#clear('resync');
    const seconds = Math.max(1, this.pollSeconds || POLL_SECONDS);
    this.#every('poll', document.hidden ? Math.max(seconds, HIDDEN_POLL_SECONDS) : seconds, () => this.sync());
    this.#connected('polling');
    this.sync();
  }

  #leave() {
    this.#source?.close();
    this.#source = null;
  }

  #connected(state) {
    if (state === this.connection) return;
    this.connection = state;
    this.#tell.connected(state);
  }

  /** Once, so many seconds from now; one that is set already stays. */
  #once(name, seconds, act) {
    if (this.#timers.has(name)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      act();
    }, seconds * 1000);
    this.#timers.set(name, timer);
  }

  #every(name, seconds, act) {
    this.#clear(name);
    this.#timers.set(name, setInterval(act, seconds * 1000));
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name)); // It stops intervals too.
    this.#timers.delete(name);
  }
}

async function ask(address, token, method, body) {
  const headers = { authorization: `Bearer ${token}` };
  if (body) headers['content-type'] = 'application/json';
  const answer = await fetch(address, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
    keepalive: method !== 'GET', // A click on a link marks as read and leaves the page.
    signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, said.message ?? '');
  return said;
}

/** Seconds to wait after so many failures; not the same for all who failed together. */
function pause(failures) {
  const [least, most] = RETRY_SECONDS;
  return Math.min(least * 2 ** failures, most) * (0.75 + Math.random() / 2);
}

/** Whose token it is, so that a renewed one starts nothing afresh. The API verifies it, not we. */
function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).sub;
  } catch {
    return token;
  }
}
