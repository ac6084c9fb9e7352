"""`python -m distributor` and the `distributor` command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; exits with the code listed in cli/output.py."""
    # Importing makes very many objects, all of which stay: looking through them each 700 is a tenth of a start.
    gc.set_threshold(10_000)
    from distributor.cli import app

    app()


if __name__ == "__main__":
    main()
