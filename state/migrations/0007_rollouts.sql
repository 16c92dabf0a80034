-- A revision on its way through the fleet. version counts the changes of a row,
-- so that two who change it at a time do not lose what the other did.
CREATE TABLE rollouts (
  id         INTEGER NOT NULL PRIMARY KEY,
  version    INTEGER NOT NULL,
  revision   TEXT    NOT NULL,
  status     TEXT    NOT NULL CHECK (status IN ('Running', 'Succeeded', 'Partial', 'Failed')),
  reason     TEXT    NOT NULL,
  message    TEXT    NOT NULL,
  next       TEXT    NOT NULL,
  paused     TEXT    NOT NULL,
  waves      TEXT    NOT NULL,
  promoted   TEXT    NOT NULL,
  started_at TEXT    NOT NULL,
  ended_at   TEXT    NOT NULL
) STRICT;

-- The tenants of a rollout as it began. How far one has come is in observed.
CREATE TABLE rollout_tenants (
  rollout INTEGER NOT NULL,
  tenant  TEXT    NOT NULL CHECK (tenant <> ''),
  wave    INTEGER NOT NULL,
  target  TEXT    NOT NULL,
  PRIMARY KEY (rollout, tenant)
) STRICT, WITHOUT ROWID;

-- The rollout that a deployment belongs to; 0 for none.
ALTER TABLE deployments ADD COLUMN rollout INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deployments_rollout ON deployments (rollout, tenant) WHERE rollout > 0;

-- What a tenant was last brought to, and what it was tried with: a bundle and
-- the policy that it was planned by.
ALTER TABLE observed ADD COLUMN target TEXT NOT NULL DEFAULT '';
ALTER TABLE observed ADD COLUMN tried TEXT NOT NULL DEFAULT '';

-- Commits whose removals somebody meant.
CREATE TABLE confirmations (
  revision TEXT NOT NULL PRIMARY KEY CHECK (revision <> ''),
  actor    TEXT NOT NULL CHECK (actor <> ''),
  via      TEXT NOT NULL,
  reason   TEXT NOT NULL,
  at       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the pass left undone until somebody does something.
ALTER TABLE passes ADD COLUMN waiting_revision TEXT NOT NULL DEFAULT '';
ALTER TABLE passes ADD COLUMN waiting_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE passes ADD COLUMN waiting_message TEXT NOT NULL DEFAULT '';
ALTER TABLE passes ADD COLUMN waiting_next TEXT NOT NULL DEFAULT '';
