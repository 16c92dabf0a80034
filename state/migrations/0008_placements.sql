-- Databases that the reconciler had made on a server: what each is called there,
-- where it is, and the token that opens it, encrypted for the operator's age
-- key. url is empty from when a database is asked for until it is there.
CREATE TABLE placements (
  tenant     TEXT NOT NULL PRIMARY KEY CHECK (tenant <> ''),
  provider   TEXT NOT NULL CHECK (provider <> ''),
  name       TEXT NOT NULL CHECK (name <> ''),
  url        TEXT NOT NULL,
  token      TEXT NOT NULL CHECK (token = '' OR substr(token, 1, 5) = '$age:'),
  placed_at  TEXT NOT NULL,
  rotated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Two tenants never have one database.
CREATE UNIQUE INDEX placements_name ON placements (provider, name);

-- Copies of such databases that are made for a while, to try a plan on: what
-- a crash has left of them is removed by the next start.
CREATE TABLE branches (
  provider TEXT NOT NULL,
  name     TEXT NOT NULL CHECK (name <> ''),
  tenant   TEXT NOT NULL,
  made_at  TEXT NOT NULL,
  PRIMARY KEY (provider, name)
) STRICT, WITHOUT ROWID;
