"""`python -m router` and the console script `router`: starts the command line with the garbage collector out of the way."""

import gc


def main() -> None:
    """Run the command line. What it imports stays for good: to look for garbage in it all the while takes a fifth of the
    time that the import takes."""
    gc.disable()
    from router.cli import main as command_line

    gc.freeze()
    gc.enable()
    command_line()


if __name__ == "__main__":
    main()
