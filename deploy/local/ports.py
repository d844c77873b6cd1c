"""Is a port free, and if not, who has it?"""

import socket
from dataclasses import dataclass

import psutil
from typing_extensions import override

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Taken:
    port: int
    variable: str
    holder: str

    @override
    def __str__(self) -> str:
        return f"Port {self.port} is taken{self.holder}: stop that, or choose another port with {self.variable}=…"


def taken(port: int, variable: str) -> Taken | None:
    """None when we could listen on ``port`` of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except PermissionError:
            return Taken(port, variable, " from us: this account may not listen on it")
        except OSError:
            return Taken(port, variable, _holder(port))
    return None


def _holder(port: int) -> str:
    """`` by nginx (pid 123)`` when the system lets us know, else nothing."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
