"""Reading typed values from environment variables, with errors that a person can act on."""

import re
from collections.abc import Mapping
from datetime import timedelta

__all__ = ["Environment", "SettingsError"]

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

# Units and syntax of Go's time.ParseDuration, which live deployments are configured with.
_DURATION_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message names it and says what can."""


class Environment:
    """Typed access to variables. One that is set to nothing counts as not set, as it does in Go's viper."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def get(self, name: str) -> str | None:
        """The value without surrounding blanks, or None when there is none."""
        return self._variables.get(name, "").strip() or None

    def text(self, name: str, default: str) -> str:
        return self.get(name) or default

    def secret(self, name: str, default: str) -> str:
        """Like `text`, but blanks belong to the value."""
        return self._variables.get(name) or default

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.get(name)
        if value is None:
            return default
        # int() alone would take `1_000` and other scripts' digits.
        if re.fullmatch(r"-?[0-9]{1,18}", value) and minimum <= int(value) <= maximum:
            return int(value)
        raise SettingsError(f"{name} is {value!r}; it must be a whole number from {minimum} to {maximum}")

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.get(name)
        if value is None:
            return default
        if value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        raise SettingsError(f"{name} is {value!r}; it must be true, false, 1 or 0")

    def choice(self, name: str, default: str, accepted: Mapping[str, str]) -> str:
        """One of `accepted`, which maps each spelling (matched without regard to case) to what it means."""
        value = self.get(name)
        if value is None:
            return default
        for spelling, meaning in accepted.items():
            if value.lower() == spelling.lower():
                return meaning
        raise SettingsError(f"{name} is {value!r}; it must be one of {', '.join(accepted)}")

    def matching(self, name: str, default: str, pattern: re.Pattern[str], accepted: str) -> str:
        """A text that matches `pattern` as a whole; `accepted` puts the pattern into words."""
        value = self.text(name, default)
        if pattern.fullmatch(value):
            return value
        raise SettingsError(f"{name} is {value!r}; it must be {accepted}")

    def duration(self, name: str, default: timedelta, *, least: timedelta = timedelta(0)) -> timedelta:
        """A Go duration such as `5m` or `1h30m`; a negative one counts as zero, which is how Go treats it."""
        value = self.get(name)
        if value is None:
            return default
        try:
            found = max(_duration(value), timedelta(0))
        except (ValueError, OverflowError):
            raise SettingsError(
                f"{name} is {value!r}; it must be a duration such as 30s, 5m or 1h30m (units: ns us ms s m h)"
            ) from None
        if found < least:
            raise SettingsError(f"{name} is {value!r}; it must be at least {least.total_seconds():g}s")
        return found


def _duration(text: str) -> timedelta:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return timedelta(0)
    parts = _DURATION_PART.findall(digits)
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        raise ValueError(text)
    return sign * timedelta(seconds=sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts))
