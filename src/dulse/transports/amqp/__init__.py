"""The native transport: AMQP 0-9-1 brokers, by an engine of our own."""
