// The delivery documents of each message.
function (doc) {
  if (doc._id.indexOf('delivery:') === 0 && doc.type === 'delivery') { emit(doc.message_id, null); }
}
