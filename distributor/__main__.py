"""`python -m distributor` and the `distributor` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with the code listed in cli/output.py."""
    from distributor.cli import app

    app()


if __name__ == "__main__":
    main()
