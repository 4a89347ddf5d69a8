"""What the commands do, a file each. `router/cli.py` only reads their arguments."""
