"""A TCP proxy on loopback that does to connections what networks, machines and broken peers do to them.

::

    with FaultProxy("127.0.0.1", 5672) as proxy:
        connection = Connection(f"amqp://guest:guest@127.0.0.1:{proxy.port}//")
        ...
        proxy.cut()  # connection reset by peer, on both sides
        proxy.stall()  # sockets stay open, nothing passes
        proxy.resume()
"""

from __future__ import annotations

from dulse.testing.proxy.fault_proxy import FaultProxy
from dulse.testing.proxy.flow import Direction

__all__ = ["Direction", "FaultProxy"]
