"""Is it there yet? Quick questions to a server, each answered within a second or two."""

import http.client

from deploy.local.ports import LOOPBACK


def http_answers(port: int, path: str = "/", *, timeout_s: float = 2.0) -> bool:
    """Whether anything but a server error comes back."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
