"""The simulator stops while clients come and go, and leaves no socket open."""

import gc
import socket
import struct
import threading
import warnings

import pytest

from engine.simulator import Simulator

HELLO = (
    b"GET /ws?clientId=x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
REQUEST = b"GET /object_info HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("attempt", range(5))
def test_clients_that_connect_and_abort_meanwhile_leave_no_socket(attempt):
    over = threading.Event()

    def connect(port, said):
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                    # Closed with a reset, whatever is on the way.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sendall(said)
                    client.recv(10)
            except OSError:
                continue

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with Simulator() as simulator:
            port = int(simulator.url.rpartition(":")[2])
            clients = [threading.Thread(target=connect, args=(port, said)) for said in (HELLO, REQUEST, b"") * 2]
            for client in clients:
                client.start()
            over.wait(0.3)
        over.set()
        for client in clients:
            client.join()
        gc.collect()

    assert [str(each.message) for each in caught] == []
