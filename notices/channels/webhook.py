"""A signed POST of JSON to another program (docs/notices.md has its form)."""

import ipaddress
import json
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from django.conf import settings

from notices.channels.errors import NotSent
from notices.core import signature
from notices.core.parse import ChannelAddress, Network

TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=10.0)
type IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def send(channel: ChannelAddress, payload: dict[str, Any], *, message_id: str, now: int) -> None:
    """Post it to the address that the host's name leads to at this moment. Raises NotSent.

    Every address of the name is judged, and the one that was judged is called: a name cannot lead
    elsewhere between the look and the call. Redirects are answers like any other that is not 2xx.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signature.headers(channel.secret, message_id=message_id, timestamp=now, body=body)
    headers |= {"content-type": "application/json", "user-agent": "Sallyport"}
    parts = urlsplit(channel.url)
    pool = _pool(parts.scheme, str(parts.hostname), parts.port)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        # The answer's body is never read: it says nothing that we would follow.
        answer = pool.urlopen(
            "POST",
            target,
            body=body,
            headers=headers | {"host": parts.netloc},
            retries=False,
            redirect=False,
            timeout=TIMEOUT,
            preload_content=False,
        )
    except urllib3.exceptions.TimeoutError as error:
        raise NotSent("The webhook did not answer in time.") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NotSent(f"The webhook cannot be reached: {type(error).__name__}.") from error
    finally:
        pool.close()
    answer.close()
    if not 200 <= answer.status < 300:
        gone = answer.status == 410
        raise NotSent(
            f"The webhook answered {answer.status}.",
            for_good=gone,
            channel_down=answer.status >= 500 or answer.status == 429,
        )


def _pool(scheme: str, host: str, port: int | None) -> urllib3.HTTPConnectionPool:
    ip = str(permitted(host, port or (443 if scheme == "https" else 80)))
    if scheme == "http":
        return urllib3.HTTPConnectionPool(ip, port or 80)
    return urllib3.HTTPSConnectionPool(
        ip,
        port or 443,
        server_hostname=host,
        assert_hostname=host,
        # By the authorities that the operating system trusts.
        cert_reqs="CERT_REQUIRED",
    )


def permitted(host: str, port: int) -> IpAddress:
    """The address to call. Raises NotSent where one of the name's addresses is not allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotSent("The webhook's name is not known.") from error
    addresses = [ipaddress.ip_address(str(one[4][0])) for one in found]
    for address in addresses:
        if not is_permitted(address, settings.WEBHOOK_NETWORKS):
            raise NotSent(
                f"The webhook's name leads to {address}, which is not public. "
                "SALLYPORT_WEBHOOK_NETWORKS can allow it."
            )
    return addresses[0]


NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")


def is_permitted(address: IpAddress, allowed: tuple[Network, ...]) -> bool:
    """Public, or inside a network that the operators have named. Metadata services, this machine
    and the neighbours are neither. An IPv4 address inside an IPv6 one is judged as itself."""
    real = _ipv4_inside(address) or address
    named = any(real in network for network in allowed if network.version == real.version)
    # Of IPv6 Python calls some global that nobody routes, such as the site-local ones of old.
    routed = isinstance(real, ipaddress.IPv4Address) or real in GLOBAL_UNICAST
    return named or (real.is_global and routed and not real.is_multicast)


def _ipv4_inside(address: IpAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
