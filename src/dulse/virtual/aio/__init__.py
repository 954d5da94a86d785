"""A broker made of a store, in its asyncio form; the blocking form is generated from it."""
