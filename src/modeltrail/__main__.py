"""`modeltrail` and `python -m modeltrail`."""

import sys

_INTERRUPTED = 130  # what shells say of a program that Ctrl-C ended


def main() -> None:
    try:
        from modeltrail.cli.main import run  # noqa: PLC0415 - takes a while, in which Ctrl-C is no mistake of ours
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
