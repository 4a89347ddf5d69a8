// Deliveries that are not done with: those of each lane by when they are due, the critical ones (0) apart from the others (1),
// with the number of attempts so far; and unroutable messages by age, each with a key of its own, so that they can be read
// page by page.
function (doc) {
  if (doc._id.indexOf('delivery:') !== 0 || doc.type !== 'delivery') { return; }
  if (doc.status === 'PENDING' || doc.status === 'WAITING_KEY_EXCHANGE') {
    emit(['lane', doc.channel || '', doc.priority === 'critical' ? 0 : 1, doc.next_attempt_at || doc.created_at],
      doc.attempts ? doc.attempts.length : 0);
  } else if (doc.status === 'UNROUTABLE') {
    emit(['unroutable', doc.created_at, doc._id], null);
  }
}
