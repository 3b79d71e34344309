-- A repository as version 1 left it. Kept as it is: what was made then must open for ever.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1416193125;
PRAGMA user_version = 1;
BEGIN;

-- Version 1. Rows are thin and keys are integers: what repeats (classes, types, tasks) stands once, and its number elsewhere.
-- An OID is 16 bytes where it is a UUID, text otherwise.

-- Counters: `last_run`; `focus_floor`, below or at which no new focus gets its number (numbers are never used twice).
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('last_run', 0), ('focus_floor', 0);

-- Definitions. A name is NULL only inside a transaction, while names change hands.
CREATE TABLE object (
  id INTEGER PRIMARY KEY, type TEXT NOT NULL, oid NOT NULL UNIQUE, name TEXT, text TEXT NOT NULL, origin TEXT,
  UNIQUE (type, name));

CREATE TABLE object_class (id INTEGER PRIMARY KEY, resource NOT NULL, name TEXT NOT NULL, UNIQUE (resource, name));
CREATE TABLE object_type (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, intent TEXT NOT NULL, UNIQUE (kind, intent));
CREATE TABLE task_activity (id INTEGER PRIMARY KEY, task NOT NULL, activity TEXT NOT NULL, UNIQUE (task, activity));

-- A name is NULL where the focus has none.
CREATE TABLE focus (
  id INTEGER PRIMARY KEY, oid NOT NULL UNIQUE, type INTEGER NOT NULL, name TEXT, version INTEGER NOT NULL, content TEXT NOT NULL,
  UNIQUE (type, name));

-- The path is a JSON list of item keys.
CREATE TABLE indexed_item (
  id INTEGER PRIMARY KEY, type INTEGER NOT NULL, path TEXT NOT NULL, rule TEXT NOT NULL, UNIQUE (type, path, rule));
CREATE TABLE focus_index (
  item INTEGER NOT NULL, value TEXT NOT NULL, focus INTEGER NOT NULL, PRIMARY KEY (item, value, focus)) WITHOUT ROWID;

CREATE TABLE shadow (
  id INTEGER PRIMARY KEY, oid NOT NULL UNIQUE, class INTEGER NOT NULL REFERENCES object_class, identifier TEXT NOT NULL,
  name TEXT NOT NULL, type INTEGER, situation INTEGER, focus INTEGER REFERENCES focus, dead INTEGER NOT NULL, attributes TEXT NOT NULL);
CREATE UNIQUE INDEX shadow_identifier ON shadow (class, identifier) WHERE dead = 0;
CREATE INDEX shadow_focus ON shadow (focus) WHERE focus IS NOT NULL;

-- One row for each shadow: what an unchanged object reads and writes. Apart from the shadow, so that many fit on a page.
CREATE TABLE shadow_seen (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, at INTEGER, full_at INTEGER, fingerprint BLOB);

-- At most five for each shadow; `nr` grows with time.
CREATE TABLE operation_result (
  shadow INTEGER NOT NULL REFERENCES shadow, nr INTEGER NOT NULL, task_activity INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER NOT NULL,
  message TEXT, PRIMARY KEY (shadow, nr)) WITHOUT ROWID;

CREATE TABLE task_state (task PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

UPDATE meta SET value = 41 WHERE name = 'last_run';
UPDATE meta SET value = 6 WHERE name = 'focus_floor';
INSERT INTO object VALUES (1, 'task', X'0188F3A27B1C7DEF8123456789ABCDEF', 'import', '<task/>', '/etc/tasks.xml');
INSERT INTO object_class VALUES (1, X'11111111111141118111111111111111', 'account');
INSERT INTO object_type VALUES (1, 1, 'default');
INSERT INTO task_activity VALUES (1, 't', 'resourceObjects');
INSERT INTO focus VALUES (5, 'user-ann', 1, 'ann', 3, '{"name":"ann","mail":"Ann@example.org"}');
INSERT INTO indexed_item VALUES (1, 1, '["mail"]', 'stringIgnoreCase');
INSERT INTO focus_index VALUES (1, 'ann@example.org', 5);
INSERT INTO shadow VALUES (1, 'shadow-a', 1, 'a', 'a', 1, 1, 5, 0, '{"id":"a"}');
INSERT INTO shadow VALUES (2, 'shadow-b', 1, 'b', 'b', NULL, NULL, NULL, 1, '{"id":"b"}');
INSERT INTO shadow_seen VALUES (1, 41, 7, 6, X'01010101010101010101010101010101');
INSERT INTO shadow_seen VALUES (2, 0, NULL, NULL, NULL);
INSERT INTO operation_result VALUES (1, 8, 1, 6, 4, 'no');
INSERT INTO operation_result VALUES (1, 9, 1, 7, 1, NULL);
INSERT INTO task_state VALUES ('t', 'state');

COMMIT;
