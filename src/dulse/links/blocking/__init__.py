"""The blocking AMQP link: one socket that any number of threads, signal handlers and the keeper share."""
