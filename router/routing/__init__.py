"""Pure: from a message and the mapping to targets."""
