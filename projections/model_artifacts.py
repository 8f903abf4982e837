"""Model artifacts: the rows of model versions, shown as what was trained and where it lies."""

from collections.abc import Mapping
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from modeltrail.projections.documents import Document
from modeltrail.projections.list_reader import Page, PageReader
from modeltrail.projections.lists import Listing, Slice
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.times import WholeSeconds


class ArtifactBody(Struct, frozen=True, kw_only=True):
    """An artifact in the order of the wire: some of the fields of a version."""

    id: UUID
    created_at: WholeSeconds
    updated_at: WholeSeconds
    registered_model_id: UUID
    name: str
    artifact_type: str
    model_framework: str
    model_framework_version: str
    container_image: str
    uri: str
    labels: dict[str, str]
    prebuilt_container_id: UUID | None


_read_one = msgspec.json.Decoder(ArtifactBody).decode
_read_many = msgspec.json.Decoder(tuple[ArtifactBody, ...]).decode
_write = msgspec.json.Encoder().encode


def as_artifact(version: Document) -> Document:
    """The version's document, shown as an artifact. Its revision is the version's."""
    return structs.replace(version, body=_write(_read_one(version.body)))


class ArtifactListing(Listing):
    """Lists versions as artifacts."""

    async def page(self, reader: PageReader, having: Mapping[str, object], part: Slice, name_part: str = "") -> Page:
        """The page of versions that hold `having`, each shown as an artifact."""
        versions = await super().page(reader, having, part, name_part)
        artifacts = _write(_read_many(b"[%b]" % versions.items))
        return structs.replace(versions, items=artifacts[1:-1])


ARTIFACT_LIST = ArtifactListing(MODEL_VERSIONS, ArtifactBody)
