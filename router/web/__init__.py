"""The router's HTTP port: how it is, and what it counts."""
