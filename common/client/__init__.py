"""Talking to the hub: one HTTP client, and beside it what each role may say."""

from common.client.bridge import BridgeApi
from common.client.credentials import Credentials, Secret, find_credentials
from common.client.feed import follow_hub, follow_output
from common.client.http import HubClient, HubError, HubUnreachableError
from common.client.node import NodeApi
from common.client.operator import OperatorApi
from common.link import Followed, LinkLost, LinkUp

__all__ = [
    "BridgeApi",
    "Credentials",
    "Followed",
    "HubClient",
    "HubError",
    "HubUnreachableError",
    "LinkLost",
    "LinkUp",
    "NodeApi",
    "OperatorApi",
    "Secret",
    "find_credentials",
    "follow_hub",
    "follow_output",
]
