-- What an event is about, beside the tenant: '' where it does not apply.
ALTER TABLE events ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN deployment TEXT NOT NULL DEFAULT '';

-- Who may let a plan run is asked when it runs: one row for each who said yes.
CREATE TABLE approvals (
  plan   TEXT NOT NULL CHECK (plan <> ''),
  actor  TEXT NOT NULL CHECK (actor <> ''),
  via    TEXT NOT NULL,
  reason TEXT NOT NULL,
  at     TEXT NOT NULL,
  PRIMARY KEY (plan, actor)
) STRICT, WITHOUT ROWID;

-- What is kept from being deployed: a tenant, those whose labels match, or,
-- with neither, the fleet. bundle is '' for whatever git asks for.
CREATE TABLE holds (
  tenant TEXT NOT NULL,
  labels TEXT NOT NULL,
  bundle TEXT NOT NULL,
  owner  TEXT NOT NULL CHECK (owner <> ''),
  via    TEXT NOT NULL,
  reason TEXT NOT NULL,
  set_at TEXT NOT NULL,
  until  TEXT NOT NULL,
  PRIMARY KEY (tenant, labels, bundle),
  CHECK (tenant = '' OR labels = '')
) STRICT, WITHOUT ROWID;
