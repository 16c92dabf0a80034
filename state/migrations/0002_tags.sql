-- The commit that the tag of an app's version was at when a tenant was first
-- deployed with it. Rows are added and never changed.
CREATE TABLE tags (
  tag         TEXT NOT NULL PRIMARY KEY CHECK (tag <> ''),
  revision    TEXT NOT NULL CHECK (revision <> ''),
  recorded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
