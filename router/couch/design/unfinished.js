// Deliveries that are not done with: those of each lane by when they are due, and unroutable messages by age.
function (doc) {
  if (doc._id.indexOf('delivery:') !== 0 || doc.type !== 'delivery') { return; }
  if (doc.status === 'PENDING' || doc.status === 'WAITING_KEY_EXCHANGE') {
    emit(['lane', doc.channel || '', doc.next_attempt_at || doc.created_at], null);
  } else if (doc.status === 'UNROUTABLE') {
    emit(['unroutable', doc.created_at], null);
  }
}
