"""Figures about the router, each beside its floor measured in the same run: `make bench`."""
