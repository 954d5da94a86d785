"""Redis as a broker: lists of records, hashes of what is taken, a small catalogue, and Lua scripts for every step."""
