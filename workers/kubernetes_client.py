"""How a cluster is reached: the client's configuration, from a URL, a pod's account or a kubeconfig.

With `workers.kserve` the only module that imports kubernetes_asyncio; what that one says of it holds here, too.
"""

from importlib.metadata import version
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config
from yaml import YAMLError

from modeltrail.workers.access import Access, kubeconfig_files
from modeltrail.workers.cluster import ClusterNotConfigured
from modeltrail.workers.observation import MANAGER


async def configuration(access: Access) -> Configuration:
    """What `access` says. Raises ClusterNotConfigured."""
    settings = Configuration()
    if access.url:
        settings.host = access.url.rstrip("/")
        if access.token:
            settings.api_key["BearerToken"] = f"Bearer {access.token}"
        return settings
    if access.in_cluster:
        try:
            load_incluster_config(client_configuration=settings)
        except (ConfigException, OSError) as error:
            raise ClusterNotConfigured(f"KUBERNETES_IN_CLUSTER is set, but this is no pod: {error}") from error
        return settings
    files = kubeconfig_files(access)
    try:
        # Not persisted: the file is a person's, and ours only to read.
        await load_kube_config(
            config_file=files, context=access.context, client_configuration=settings, persist_config=False
        )
    except (ConfigException, YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The loader trips over a malformed file in all these ways.
        raise ClusterNotConfigured(f"the kubeconfig {files} cannot be used: {error}") from error
    return settings


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
