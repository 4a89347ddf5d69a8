// How many deliveries were made: [day, channel, status, event], to be counted by groups. A delivery without an event: ''. ES5.
function (doc) {
  if (doc._id.indexOf('delivery:') !== 0 || doc.type !== 'delivery' || typeof doc.created_at !== 'string') { return; }
  emit([doc.created_at.slice(0, 10), typeof doc.channel === 'string' ? doc.channel : '', String(doc.status),
    typeof doc.event === 'string' ? doc.event : ''], null);
}
