-- When the first column or table that is retired in a tenant's database is due.
ALTER TABLE observed ADD COLUMN purge_at TEXT NOT NULL DEFAULT '';

-- The commit that a deployment's commit says to revert.
ALTER TABLE deployments ADD COLUMN reverts TEXT NOT NULL DEFAULT '';
