"""The HTTP API: who calls it, how often they may, and what it answers."""
