-- What was done to a tenant through the reconciler and git does not say yet:
-- status, plan, removal, separated by commas.
ALTER TABLE tenants ADD COLUMN pending TEXT NOT NULL DEFAULT '';

-- Most tenants are simply active: a pass asks for the others alone.
CREATE INDEX tenants_unsettled ON tenants (tenant)
  WHERE status <> 'active' OR removed_at <> '' OR revision = '' OR pending <> '';

-- Backups of databases. A row stays when its backup is erased.
CREATE TABLE backups (
  id           TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
  tenant       TEXT    NOT NULL CHECK (tenant <> ''),
  url          TEXT    NOT NULL,
  sha256       TEXT    NOT NULL,
  size_bytes   INTEGER NOT NULL,
  revision     TEXT    NOT NULL,
  actor        TEXT    NOT NULL,
  via          TEXT    NOT NULL,
  taken_at     TEXT    NOT NULL,
  erased_at    TEXT    NOT NULL,
  erased_by    TEXT    NOT NULL,
  erase_reason TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX backups_tenant ON backups (tenant, taken_at);

-- Requests for a tenant, by the key that makes repeating one safe.
CREATE TABLE sign_ups (
  key     TEXT NOT NULL PRIMARY KEY CHECK (key <> ''),
  request TEXT NOT NULL,
  tenant  TEXT NOT NULL,
  at      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
