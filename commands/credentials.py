"""What opens a version's storage, on its way to the database."""

import msgspec

from modeltrail.commands.decision import Credentials
from modeltrail.domain.ids import ProjectId, VersionId
from modeltrail.eventlog.keys import KeyRing


def seal_credentials(
    keys: KeyRing, project_id: ProjectId, version_id: VersionId, access_key: str, secret_key: str
) -> Credentials | None:
    """Encrypted for this version only; None when there is nothing to encrypt."""
    if not access_key and not secret_key:
        return None
    given = msgspec.json.encode({"access_key": access_key, "secret_key": secret_key})
    key_id, box = keys.seal(given, purpose=version_id.bytes)
    return Credentials(version_id=version_id, project_id=project_id, key_id=key_id, box=box)
