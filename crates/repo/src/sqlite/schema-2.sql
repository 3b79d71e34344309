-- What version 2 adds to version 1: what live synchronization, asynchronous update and retries must remember.

CREATE TABLE object_set (id INTEGER PRIMARY KEY, resource NOT NULL, text TEXT NOT NULL, UNIQUE (resource, text));

-- At most five for each object set, one for each run; `nr` grows with time.
CREATE TABLE token (
  object_set INTEGER NOT NULL REFERENCES object_set, nr INTEGER NOT NULL, at INTEGER NOT NULL, run INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (object_set, nr)) WITHOUT ROWID;

-- One row for each commit that marks messages: a JSON list of them, each a text if it is settled, else with the number of changes that
-- are. `upto` counts the marks of the resource up to the end of the row, so a row goes where the last one is, and what
-- has become too old is known by its number.
CREATE TABLE inbox (resource NOT NULL, upto INTEGER NOT NULL, messages TEXT NOT NULL, PRIMARY KEY (resource, upto)) WITHOUT ROWID;

-- Numbers are never used twice.
CREATE TABLE retry (
  id INTEGER PRIMARY KEY AUTOINCREMENT, shadow INTEGER NOT NULL REFERENCES shadow ON DELETE CASCADE, task_activity INTEGER NOT NULL,
  at INTEGER NOT NULL, attempt INTEGER NOT NULL, interval INTEGER NOT NULL, attempts INTEGER, UNIQUE (shadow, task_activity));
CREATE INDEX retry_at ON retry (at);
