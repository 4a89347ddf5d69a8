// What stands in each user's inbox: [user, status, scope, id] with the status "all", and "read" or "unread" besides; and with
// the scope null for all of the user's notifications, and besides false for those about no customer, or the customer. So each list of the API
// is one range, newest last, and each count one reduction, however many there are. Of what is deleted, and of what somebody
// damaged, nothing.
//
// CouchDB compares texts by Unicode's collation, for which some different ones are equal (é in one character and in two): encoded,
// users and customers are ASCII, of which no two are. The rules are those of router/documents/notification.py. ES5.
function (doc) {
  var start = 'notification:' + doc.user + ':';
  var id = doc._id.slice(start.length);
  var TIME = /^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+\-]\d\d:\d\d)$/;

  function isMissing(value) { return value === undefined || value === null; }
  function isText(value) { return typeof value === 'string'; }
  function isTextOrNull(value) { return isMissing(value) || isText(value); }

  if (doc._id.indexOf('notification:') !== 0 || !isText(doc.user) || doc._id.indexOf(start) !== 0) { return; }
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)) { return; }
  if (!isMissing(doc.deleted_at) || !(doc.read === undefined || typeof doc.read === 'boolean')) { return; }
  if (!(doc.format === undefined || doc.format === 'html' || doc.format === 'text')) { return; }
  if (!(doc.title === undefined || isText(doc.title)) || !(doc.content === undefined || isText(doc.content))) { return; }
  if (!isText(doc.created_at) || !TIME.test(doc.created_at)) { return; }
  if (!isMissing(doc.read_at) && !(isText(doc.read_at) && TIME.test(doc.read_at))) { return; }
  if (!isMissing(doc.link_url) && !(isText(doc.link_url) && /^https?:\/\/[^\/?#\s]\S*$/i.test(doc.link_url))) { return; }
  if (!isTextOrNull(doc.type) || !isTextOrNull(doc.event) || !isTextOrNull(doc.link_text) || !isTextOrNull(doc.customer_id) ||
      !isTextOrNull(doc.rec_type) || !isTextOrNull(doc.rec_id) || !isTextOrNull(doc.message_id)) { return; }

  var user = encodeURIComponent(doc.user);
  var scope = isMissing(doc.customer_id) ? false : encodeURIComponent(doc.customer_id);
  var status = doc.read ? 'read' : 'unread';
  emit([user, 'all', null, id], null);
  emit([user, 'all', scope, id], null);
  emit([user, status, null, id], null);
  emit([user, status, scope, id], null);
}
