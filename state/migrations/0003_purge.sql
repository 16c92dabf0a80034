-- When the first column or table that is retired in a tenant's database is due.
ALTER TABLE observed ADD COLUMN purge_at TEXT NOT NULL DEFAULT '';
