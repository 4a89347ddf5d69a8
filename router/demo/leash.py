"""Runs a module that ends with its standard input, and so with whoever started it: `python -m router.demo.leash MODULE …`."""

import os
import runpy
import signal
import sys
import threading


def follow() -> None:
    """Wait for the end of standard input, then ask this process to end, as SIGTERM does."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the module named by the first argument with the other arguments, as `python -m` would."""
    threading.Thread(target=follow, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
