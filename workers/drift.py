"""Where an object in the cluster is not what was applied."""

from collections.abc import Iterable, Iterator, Mapping

from modeltrail.domain.quantity import amount
from modeltrail.workers.cluster import ObservedService
from modeltrail.workers.manifest import MODEL_ID, SERVICE_ID, VERSION_ID

# Fields that every version of this program writes alike and that no webhook has a reason to rewrite.
_OURS_ALONE = frozenset(
    {
        f".metadata.labels.{SERVICE_ID}",
        f".metadata.labels.{MODEL_ID}",
        f".metadata.labels.{VERSION_ID}",
        ".spec.predictor.model.storageUri",
        ".spec.predictor.model.modelFormat.name",
    }
)
_RESOURCES = ".spec.predictor.model.resources."


def differences(manifest: Mapping[str, object], observed: ObservedService) -> tuple[str, ...]:
    """Fields that `manifest` states and that have another value, or none, in the object."""
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - `manifest` builds it so
    pairs = (
        (".metadata.labels", metadata["labels"], observed.labels),
        (".metadata.annotations", metadata["annotations"], observed.annotations),
        (".spec", manifest["spec"], observed.spec),
    )
    return tuple(path for place, stated, found in pairs for path in _differing(place, stated, found))


def is_ours_alone(fields: Iterable[str]) -> bool:
    """Whether one of these can only have been changed by somebody's hand."""
    return any(field in _OURS_ALONE for field in fields)


def _differing(path: str, stated: object, found: object) -> Iterator[str]:
    if isinstance(stated, Mapping):
        inside = found if isinstance(found, Mapping) else {}
        for key, value in stated.items():
            yield from _differing(f"{path}.{key}", value, inside.get(key))
    elif stated != found and not (path.startswith(_RESOURCES) and _are_as_much(stated, found)):
        yield path


def _are_as_much(stated: object, found: object) -> bool:
    """Whether these are two ways to write one quantity: KServe makes `1Gi` of `1024Mi`."""
    return isinstance(stated, str) and isinstance(found, str) and amount(stated) == amount(found) is not None
