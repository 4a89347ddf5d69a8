"""Live notifications: the changes feed, followed in each HTTP process, as streams of server-sent events to users' devices."""
