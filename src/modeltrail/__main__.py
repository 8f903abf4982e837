"""`modeltrail` and `python -m modeltrail`."""

import os
import sys

_INTERRUPTED = 130  # what shells say of a program that Ctrl-C ended


def main() -> None:
    _fill_closed_streams()
    try:
        from modeltrail.cli.main import run  # noqa: PLC0415 - takes a while, in which Ctrl-C is no mistake of ours
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(run(sys.argv[1:]))


def _fill_closed_streams() -> None:
    """Let nothing that is opened later take the number of a standard stream that was closed (`>&-`), and what is meant
    for that."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


if __name__ == "__main__":
    main()
