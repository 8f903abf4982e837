"""What the cluster would say to a deployment: found out without changing anything."""

import msgspec
import structlog

from modeltrail.commands.preflight import FINE, REFUSED, UNKNOWN, Proposal, read_proposal
from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.failures import causes_of, stack_of
from modeltrail.workers.cluster import Cluster, ClusterError, ClusterRefused, FieldConflict
from modeltrail.workers.desired_service import Held, Holders, desired, held, name_taken
from modeltrail.workers.manifest import manifest
from modeltrail.workers.storage import Storage, StorageError
from modeltrail.workers.storage_objects import opened

_log = structlog.get_logger(__name__)

LONGEST_ANSWER = 1_000  # characters; a notification holds 8,000 bytes


class Preflight:
    """Asks the cluster on behalf of those who are about to accept a deployment."""

    def __init__(self, cluster: Cluster, storage: Storage, mode: DeploymentMode, holders: Holders) -> None:
        self._cluster = cluster
        self._storage = storage
        self._mode = mode
        self._holders = holders

    async def answer(self, question: str) -> str:
        """The answer to a `Proposal` in JSON."""
        try:
            return await self._verdict(read_proposal(question))
        except FieldConflict:
            return FINE  # the deployment takes the fields over
        except (ClusterRefused, StorageError) as refusal:
            return f"{REFUSED}{refusal}"[:LONGEST_ANSWER]
        except ClusterError:
            return UNKNOWN
        except msgspec.MsgspecError as error:
            _log.error("a question about a deployment cannot be read", cause=causes_of(error))
        except Exception as error:  # noqa: BLE001 - a mistake in here must not end the worker
            _log.error("a question about a deployment failed", cause=causes_of(error), stack=stack_of(error))
        return UNKNOWN

    async def _verdict(self, asked: Proposal) -> str:
        task = asked.task
        found = await self._cluster.get(task.target.namespace, task.name)
        match None if found is None else await held(found, asked.service, self._holders):
            case Held.PASSING:
                return UNKNOWN  # the deployment waits until it is gone
            case Held.ANOTHERS:
                return f"{REFUSED}{name_taken(task)}"
            case Held.OURS | None:
                pass
        await opened(self._storage, self._cluster, asked.service, task)
        await self._cluster.dry_run(manifest(desired(asked.service, task, self._mode)))
        return FINE
