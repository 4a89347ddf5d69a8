"""`router demo`: real local servers and a guided first run."""
