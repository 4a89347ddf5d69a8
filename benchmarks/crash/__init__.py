"""The crash table: the same traffic through the router, an Apprise script and Alertmanager while everything is killed."""
