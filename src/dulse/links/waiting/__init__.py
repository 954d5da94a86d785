"""Everything in which waiting differs, twice under the same names: `aio` for asyncio, `sync` for threads."""
