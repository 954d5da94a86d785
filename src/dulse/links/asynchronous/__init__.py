"""The AMQP link for asyncio: sockets by the event loop, no thread."""
