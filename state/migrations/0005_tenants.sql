-- One row a tenant: what git, or a sign-up that git does not have yet, says of
-- it, and where it is in its life. spec and quotas are JSON; a secret in them
-- is a reference, never the secret.
CREATE TABLE tenants (
  tenant       TEXT NOT NULL PRIMARY KEY CHECK (tenant <> ''),
  spec         TEXT NOT NULL,
  quotas       TEXT NOT NULL,
  origin       TEXT NOT NULL CHECK (origin IN ('git', 'sign-up')),
  revision     TEXT NOT NULL,
  status       TEXT NOT NULL CHECK (status IN ('provisioning', 'active', 'suspended', 'failed', 'destroying')),
  status_since TEXT NOT NULL,
  removed_at   TEXT NOT NULL,
  operation    TEXT NOT NULL,
  steps        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
