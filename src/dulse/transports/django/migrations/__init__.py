"""The history of the tables, as Django follows it."""
