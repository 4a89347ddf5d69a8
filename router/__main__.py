"""`python -m router`: the same as the console script."""

from router.cli import main

main()
