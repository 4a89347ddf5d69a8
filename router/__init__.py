"""A notification router: message documents in CouchDB go out through Matrix, email, Slack and Sphinx."""

__version__ = "0.1.0"
