// The delivery documents by when they were made: [channel, status, created_at, _id], with null for "whatever it is", so that each
// of the four ways to ask is one range. The document about a message as a whole has no channel: ''. ES5.
function (doc) {
  if (doc._id.indexOf('delivery:') !== 0 || doc.type !== 'delivery' || typeof doc.created_at !== 'string') { return; }
  var channel = typeof doc.channel === 'string' ? doc.channel : '';
  var status = String(doc.status);
  emit([null, null, doc.created_at, doc._id], null);
  emit([channel, null, doc.created_at, doc._id], null);
  emit([null, status, doc.created_at, doc._id], null);
  emit([channel, status, doc.created_at, doc._id], null);
}
