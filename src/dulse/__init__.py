"""dulse: messaging over many brokers."""
