"""The sql transport: a broker in the tables of a PostgreSQL, MariaDB, MySQL or SQLite database, by SQLAlchemy.

All tables begin with `dulse_`. Rows that are gone are space for others: PostgreSQL's autovacuum is told to look at them
often, InnoDB and SQLite use their pages again by themselves. None gives the space back to the disk.
"""

from __future__ import annotations

from dulse.transports.sql.alchemy import SQLStorage

__all__ = ["SQLStorage"]
