"""A kubeconfig file, so that every Kubernetes client finds the simulated cluster the usual way."""

from pathlib import Path

import msgspec

_NAME = "modeltrail-simulated"


def write_kubeconfig(path: Path, url: str, token: str | None = None, token_file: Path | None = None) -> None:
    """Written as JSON, which is YAML too; readable by its owner only, for it may hold a token."""
    user = {"tokenFile": str(token_file.absolute())} if token_file else {"token": token} if token else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": url}}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # the rights of one that a crash left would stay
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")
    draft.replace(path)
