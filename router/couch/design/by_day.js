// Notifications and audit documents by the day they were made, whatever became of them since, for what is kept so many days
// only: [kind, day, _id], and the revision. The day is the one in the id (its first 48 bits are milliseconds since 1970), which nobody can have
// edited, or else the one written down.
function (doc) {
  var kind = doc._id.indexOf('notification:') === 0 ? 'notification' : doc._id.indexOf('audit:') === 0 ? 'audit' : '';
  if (!kind) { return; }
  var made = /:([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.exec(doc._id);
  var written = /^\d{4}-\d\d-\d\d/.exec(kind === 'audit' ? doc.at : doc.created_at);
  if (made) {
    emit([kind, new Date(parseInt(made[1] + made[2], 16)).toISOString().slice(0, 10), doc._id], doc._rev);
  } else if (written) {
    emit([kind, written[0], doc._id], doc._rev);
  }
}
