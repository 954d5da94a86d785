"""What RabbitMQ can do, in the numbers of the contract."""

from __future__ import annotations

from dulse.amqp.delays import LONGEST
from dulse.model.capabilities import Capabilities

CAPABILITIES = Capabilities(
    atomic_forward=False,
    peek_marks=True,
    leases="process",
    max_delay=LONGEST / 1000,
    delayed_expiration=False,
    counts_delayed=False,
)
