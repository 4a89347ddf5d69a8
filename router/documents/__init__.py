"""The documents that stand in CouchDB, a file per kind."""
