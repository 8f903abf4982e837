"""`modeltrail` and `python -m modeltrail`."""

import sys

from modeltrail.cli.main import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
