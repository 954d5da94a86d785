"""What authors of transports, and users, test with; nothing here is imported by the rest of dulse."""
