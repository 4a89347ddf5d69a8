// The delivery documents of each message, and how far each has come.
function (doc) {
  if (doc._id.indexOf('delivery:') === 0 && doc.type === 'delivery') { emit(doc.message_id, doc.status); }
}
