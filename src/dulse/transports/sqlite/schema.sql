-- The tables of an SQLite broker, version 2.
--
-- A record never changes once it is written: what does change (ready, leased, delayed) lies in small tables beside it,
-- so that taking a large record does not write it again.

CREATE TABLE record (
    id INTEGER PRIMARY KEY,   -- the order in which records became ready for the first time
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,    -- minus the priority: the lowest comes first
    since INTEGER NOT NULL,   -- ms, wall clock: from when its age counts
    dies INTEGER,             -- ms, wall clock: since + time to live
    due INTEGER,              -- ms, wall clock: put with a delay until then
    size INTEGER NOT NULL,    -- bytes of the body, which count towards limits; the payload has more
    payload BLOB NOT NULL
);

CREATE TABLE ready (
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,
    id INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    size INTEGER NOT NULL,
    dies INTEGER,
    PRIMARY KEY (queue, rank, id)
) WITHOUT ROWID;

CREATE INDEX ready_by_end ON ready (queue, dies) WHERE dies IS NOT NULL;

CREATE TABLE leased (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,   -- owner.key
    token INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    queue TEXT NOT NULL
);

CREATE TABLE delayed (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    due INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    fresh INTEGER NOT NULL    -- 1: was never ready, so it goes to the end of its queue; 0: was released, to its old place
);

CREATE INDEX delayed_by_due ON delayed (due);

-- Ready records of queues that have a limit, and of those only.
CREATE TABLE tally (
    queue TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE owner (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    boot TEXT NOT NULL,
    expires INTEGER NOT NULL  -- ms on that boot's clock; 0: declared dead
);

CREATE TABLE publisher (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL       -- ms, wall clock: of its last call
) WITHOUT ROWID;

CREATE TABLE revision (
    grp TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    since INTEGER NOT NULL    -- ms, wall clock
) WITHOUT ROWID;

CREATE TABLE entry (
    grp TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (grp, name)
) WITHOUT ROWID;

-- One counter for the revisions of all groups, so that a group made again never has an old one.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta VALUES ('revision', 0);

CREATE TRIGGER record_put AFTER INSERT ON record WHEN new.due IS NULL BEGIN
    INSERT INTO ready VALUES (new.queue, new.rank, new.id, 0, new.size, new.dies);
END;

CREATE TRIGGER record_put_with_delay AFTER INSERT ON record WHEN new.due IS NOT NULL BEGIN
    INSERT INTO delayed VALUES (new.id, new.queue, new.due, 0, 1);
END;

CREATE TRIGGER record_gone AFTER DELETE ON record BEGIN
    DELETE FROM leased WHERE id = old.id;
END;

CREATE TRIGGER ready_in AFTER INSERT ON ready BEGIN
    UPDATE tally SET count = count + 1, bytes = bytes + new.size WHERE queue = new.queue;
END;

CREATE TRIGGER ready_out AFTER DELETE ON ready BEGIN
    UPDATE tally SET count = count - 1, bytes = bytes - old.size WHERE queue = old.queue;
END;
