"""Talking to CouchDB: database, feed, checkpoint, design documents."""
