"""`python -m distributor` and the `distributor` command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; exits with the code listed in cli/output.py."""
    # Importing makes very many objects, all of which stay: looking through them again and again is a tenth of a
    # start. Each command turns the collector on when it is loaded (cli/output.py).
    gc.disable()
    from distributor.cli import app

    app()


if __name__ == "__main__":
    main()
