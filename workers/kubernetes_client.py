"""How a cluster is reached: the client's configuration, from a URL, a pod's account or a kubeconfig.

With `workers.kserve` the only module that imports kubernetes_asyncio; what that one says of it holds here, too.
"""

import asyncio
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api, CustomObjectsApi
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config
from yaml import YAMLError

from modeltrail.workers.access import Access, kubeconfig_files
from modeltrail.workers.cluster import ClusterNotConfigured
from modeltrail.workers.observation import MANAGER

Credentials = tuple[object, ...]
"""All by which the cluster knows us, and we it: two that are equal get the same answer."""


class RenewableClient:
    """The generated client, which reads its configuration again when the cluster does not know us any more.

    Tokens expire, and whoever issues new ones (a kubelet, an exec plugin, a person) leaves them where the old ones
    were. Where only the token is another, connections stay; else there is a new client, and the old one is kept until
    the end, since a watch may still go over it.
    """

    def __init__(self, access: Access, client: ApiClient) -> None:
        self._access = access
        self._renewing = asyncio.Lock()
        self._retired: list[ApiClient] = []
        self._use(client)

    @classmethod
    async def open(cls, access: Access) -> Self:
        """Raises ClusterNotConfigured. Nothing is sent yet."""
        return cls(access, await open_client(await configuration(access)))

    def _use(self, client: ApiClient) -> None:
        self._client = client
        self._way = _way(client.configuration)
        # Any: the stubs know neither `_content_type` nor that a raw call returns aiohttp's response.
        self.custom: Any = CustomObjectsApi(client)
        self.core: Any = CoreV1Api(client)

    @property
    def credentials(self) -> Credentials:
        """What the next call shows."""
        return (*self._way, *sorted(self._client.configuration.api_key.items()))

    async def renew(self, refused: Credentials) -> bool:
        """Whether there are others than those just refused; of many callers only one looks.

        Raises ClusterNotConfigured.
        """
        async with self._renewing:
            if self.credentials == refused:
                await self._read_again()
            return self.credentials != refused

    async def _read_again(self) -> None:
        fresh = await configuration(self._access)
        if _way(fresh) == self._way:
            current = self._client.configuration
            # With the hook, which reads a pod's token every minute and would put back the one that it read last.
            current.api_key, current.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook
            return
        self._retired.append(self._client)
        self._use(await open_client(fresh))

    async def close(self) -> None:
        for client in (*self._retired, self._client):
            await client.close()


def _way(settings: Configuration) -> Credentials:
    files = (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
    contents = (Path(file).read_bytes() if file else None for file in files)
    return (settings.host, settings.verify_ssl, settings.tls_server_name, settings.proxy, *contents)


async def configuration(access: Access) -> Configuration:
    """What `access` says. Raises ClusterNotConfigured."""
    settings = Configuration()
    # As kubectl does, and Python before 3.13: the authorities of many clusters have no key identifiers
    # (https://github.com/tomplus/kubernetes_asyncio/issues/349). Signatures and names are verified all the same.
    settings.disable_strict_ssl_verification = True
    if access.url:
        settings.host = access.url.rstrip("/")
        if access.token:
            settings.api_key["BearerToken"] = f"Bearer {access.token}"
        return settings
    if access.in_cluster:
        try:
            load_incluster_config(client_configuration=settings)
        except (ConfigException, OSError) as error:
            raise ClusterNotConfigured(f"KUBERNETES_IN_CLUSTER is set, but this is not a pod: {error}") from error
        return settings
    files = kubeconfig_files(access)
    try:
        # Not persisted: the file is a person's, and ours only to read.
        await load_kube_config(
            config_file=files, context=access.context, client_configuration=settings, persist_config=False
        )
    except (ConfigException, YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The loader trips over a malformed file in all these ways.
        chosen = f" with KUBERNETES_CONTEXT={access.context}" if access.context else ""
        raise ClusterNotConfigured(f"the kubeconfig {files} cannot be used{chosen}: {_said_by(error)}") from error
    # As kubectl does: a file of a token often ends with a newline, which no header may hold.
    settings.api_key = {name: value.strip() for name, value in settings.api_key.items()}
    return settings


def _said_by(error: Exception) -> str:
    """Why it cannot be used, in one line. What tripped over Python's types says nothing of the file."""
    if isinstance(error, TypeError | AttributeError):
        return "it is not laid out like one; compare it with `kubectl config view`"
    return " ".join(str(error).split())


async def open_client(settings: Configuration) -> ApiClient:
    """A client, to be closed by who opens it. Nothing is sent yet."""
    client = ApiClient(settings)
    client.user_agent = f"{MANAGER}/{version('modeltrail')}"
    if _is_loopback(settings.host or ""):
        # The generated session trusts HTTP_PROXY, and no proxy can reach our own loopback.
        await client.rest_client.pool_manager.close()
        client.rest_client.pool_manager = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.connection_pool_maxsize)
        )
    return client


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
