"""The data folder of `modeltrail dev`, which belongs to one of them at a time."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modeltrail.cli.errors import CommandError
from modeltrail.secret_keys import generate_key

__all__ = ["DevFolder"]


@dataclass(frozen=True, slots=True)
class DevFolder:
    """What lies where in the data folder, and the lock that makes it ours."""

    path: Path
    was_left_behind: bool
    """Whether the `dev` before this one was killed, so that what it started may still be about to end."""
    _lock: int

    @classmethod
    def take(cls, path: Path, url: str) -> Self:
        """Make the folder ready and lock it; `url` tells others where its owner is reached.

        Raises CommandError when another `dev` has it or the rights to it are missing.
        """
        path = path.absolute()
        try:
            # Not private: the database inside may belong to another account, which has to pass. Each file is.
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / "dev.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CommandError(
                f"the data folder {path} cannot be used ({error.strerror}); choose another one with --data"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 200, 0).decode(errors="replace") or "starting up"
            os.close(lock)
            raise CommandError(
                f"the data folder {path} is in use by another `modeltrail dev` ({owner}); "
                "stop that one first, or choose another folder with --data and another port with --port"
            ) from None
        folder = cls(path, was_left_behind=os.fstat(lock).st_size > 0, _lock=lock)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}, {url}".encode(), 0)
        return folder

    @property
    def database(self) -> Path:
        return self.path / "postgres"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def simulated_cluster(self) -> Path:
        return self.path / "simulated-cluster.json"

    def secret_keys(self) -> Path:
        """The file of the keys that secrets are encrypted with; made on the first run."""
        path = self.path / "secret.keys"
        if not path.exists():
            # Complete under its final name or not there at all: without its keys the database's secrets are lost.
            draft = path.with_name("secret.keys.new")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(generate_key("dev") + "\n", encoding="ascii")
            draft.replace(path)
        return path

    def release(self) -> None:
        """Let the next one have it."""
        os.ftruncate(self._lock, 0)
        os.close(self._lock)
