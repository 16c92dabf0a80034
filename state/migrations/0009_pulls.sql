-- Pull requests that were previewed: what was posted, so that a restart does
-- not post it again, and whose words were heard.
CREATE TABLE pulls (
  project   TEXT    NOT NULL CHECK (project <> ''),
  number    INTEGER NOT NULL CHECK (number > 0),
  head      TEXT    NOT NULL,
  comment   INTEGER NOT NULL,
  text      TEXT    NOT NULL,
  posted_at TEXT    NOT NULL,
  status    TEXT    NOT NULL,
  since     TEXT    NOT NULL,
  answers   TEXT    NOT NULL,
  merged    TEXT    NOT NULL,
  PRIMARY KEY (project, number)
) STRICT, WITHOUT ROWID;
