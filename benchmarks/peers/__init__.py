"""The other sides of the four channels, as fast as Python can make them, each in a process of its own."""
