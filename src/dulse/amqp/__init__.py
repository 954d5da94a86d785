"""AMQP 0-9-1 with RabbitMQ's extensions, pure: bytes in, events out; calls in, bytes out (see docs/amqp-engine.md)."""
