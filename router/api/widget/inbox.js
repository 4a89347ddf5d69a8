// What is known of the inbox. Pure: no request, no element, no clock.

const MOST_REMEMBERED = 1000; // changes, and ids of deleted ones
const STORED = /^[0-9a-f]{8}-[0-9a-f]{4}-7/; // A UUID of version 7. What is shown and kept nowhere has another id.

class Inbox {
  items = []; // newest first, each once
  unread = 0;
  cursor = null; // where older ones begin; null when all are here
  isLoaded = false;
  version = 0; // counts the changes, so that an answer can be told to be older than one
  #changes = new Map(); // id to {version, read}, of those changed last
  #deleted = new Set();

  find(id) {
    return this.items.find((item) => item.id === id);
  }

  /** Whether one of this id is, or should be, among those that are here. */
  isWithin(id) {
    const oldest = this.items.findLast(isStored);
    return this.cursor === null || !oldest || id >= oldest.id;
  }

  /** Take in a new one. Says whether it is one. */
  add(item) {
    if (this.find(item.id) || this.#deleted.has(item.id)) return false;
    this.#note(item.id, item.read);
    if (!item.read) this.unread += 1;
    this.#put({ ...item });
    return true;
  }

  /** Says whether that is a change. */
  mark(id, read) {
    const item = this.find(id);
    this.#note(id, read);
    if (!item || item.read === read) return false;
    item.read = read;
    this.unread = Math.max(0, this.unread + (read ? -1 : 1));
    return true;
  }

  markAllRead() {
    for (const item of this.items) if (!item.read) this.mark(item.id, true);
    this.unread = 0;
    this.version += 1;
  }

  /** Take one away, and give it. */
  remove(id) {
    const item = this.find(id);
    this.#note(id, item?.read);
    this.#deleted.add(id);
    shorten(this.#deleted);
    if (!item) return null;
    this.items.splice(this.items.indexOf(item), 1);
    if (!item.read) this.unread = Math.max(0, this.unread - 1);
    return item;
  }

  /** Put one back that was taken away. */
  restore(item) {
    this.#deleted.delete(item.id);
    this.add(item);
  }

  /** Something may have changed since whoever asks now gets an answer. */
  touch() {
    this.version += 1;
  }

  /** Take in the newest ones, as they were at `version`; gives those that are new here. */
  merge(page, cursor, version) {
    const known = new Map(this.items.map((item) => [item.id, item]));
    const end = page.at(-1);
    const listed = page.map((item) => this.#asOf(item, version)).filter((item) => item !== null);
    const fresh = listed.filter((item) => !known.has(item.id) && this.isLoaded && this.isWithin(item.id));
    const ids = new Set(listed.map((item) => item.id));
    const older = this.items.filter((item) => cursor !== null && isOlder(item, end));
    const kept = this.items.filter(
      (item) => !ids.has(item.id) && (!isStored(item) || older.includes(item) || this.#isChangedSince(item.id, version)),
    );
    this.items = listed.map((item) => Object.assign(known.get(item.id) ?? {}, item));
    for (const item of kept) this.#put(item);
    if (!older.some(isStored)) this.cursor = cursor;
    this.isLoaded = true;
    return fresh;
  }

  /** Take in older ones, as they were at `version`. */
  extend(page, cursor, version) {
    for (const item of page.map((each) => this.#asOf(each, version))) {
      if (item && !this.find(item.id)) this.#put(item);
    }
    this.cursor = cursor;
  }

  /** How many are unread, where the API counts `counted`: it knows nothing of those that are kept nowhere. */
  unreadWith(counted) {
    return counted + this.items.filter((item) => !item.read && !isStored(item)).length;
  }

  #put(item) {
    const place = this.items.findIndex((other) => isOlder(other, item));
    this.items.splice(place < 0 ? this.items.length : place, 0, item);
  }

  /** `item`, of an answer about `version`, as it is now; null when it is deleted. */
  #asOf(item, version) {
    if (this.#deleted.has(item.id)) return null;
    return this.#isChangedSince(item.id, version) ? { ...item, read: this.#changes.get(item.id).read } : item;
  }

  #isChangedSince(id, version) {
    return (this.#changes.get(id)?.version ?? 0) > version;
  }

  #note(id, read) {
    this.version += 1;
    this.#changes.delete(id);
    this.#changes.set(id, { version: this.version, read });
    shorten(this.#changes);
  }
}

function isStored(item) {
  return STORED.test(item.id);
}

function isOlder(one, other) {
  if (one.created_at === other.created_at) return one.id < other.id;
  return one.created_at < other.created_at;
}

/** Forget the oldest of a Map or Set that has grown too large. */
function shorten(kept) {
  if (kept.size > MOST_REMEMBERED) kept.delete(kept.keys().next().value);
}
