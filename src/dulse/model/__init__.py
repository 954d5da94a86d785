"""Values: no waiting, no I/O."""
