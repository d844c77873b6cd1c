"""A taken port is named together with who has it and which variable to change."""

import os
import socket

from deploy.local import ports


def test_a_taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = str(ports.taken(port, "WS_PORT"))
    assert found.startswith(f"Port {port} is taken by ")
    assert f"(pid {os.getpid()})" in found
    assert "WS_PORT=" in found


def test_a_free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert ports.taken(port, "PORT") is None
