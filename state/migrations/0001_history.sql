-- Times are UTC text, RFC 3339 with milliseconds, which sorts as it reads; ''
-- is a time that has not come. Numbers carry their unit in the column's name.

-- One row an attempt. Its transitions and statement times are only ever read
-- with it, so they are JSON in it, and saving a deployment is one statement.
CREATE TABLE deployments (
  id                 TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
  tenant             TEXT    NOT NULL CHECK (tenant <> ''),
  revision           TEXT    NOT NULL,
  author             TEXT    NOT NULL,
  author_email       TEXT    NOT NULL,
  subject            TEXT    NOT NULL,
  bundle_digest      TEXT    NOT NULL,
  previous_bundle    TEXT    NOT NULL,
  plan_digest        TEXT    NOT NULL,
  from_fingerprint   TEXT    NOT NULL,
  to_fingerprint     TEXT    NOT NULL,
  status             TEXT    NOT NULL CHECK (status <> ''),
  transitions        TEXT    NOT NULL,
  statements         INTEGER NOT NULL,
  statement_times_ns TEXT    NOT NULL,
  duration_ns        INTEGER NOT NULL,
  reason             TEXT    NOT NULL,
  error              TEXT    NOT NULL,
  next               TEXT    NOT NULL,
  started_at         TEXT    NOT NULL,
  completed_at       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX deployments_newest ON deployments (tenant, started_at, id);

-- One row a tenant: what the last look at it found.
CREATE TABLE observed (
  tenant           TEXT NOT NULL PRIMARY KEY CHECK (tenant <> ''),
  sync             TEXT NOT NULL CHECK (sync IN ('Synced', 'OutOfSync', 'Unknown')),
  health           TEXT NOT NULL CHECK (health IN
                     ('Healthy', 'Progressing', 'Degraded', 'Blocked', 'Suspended', 'Missing')),
  reason           TEXT NOT NULL,
  message          TEXT NOT NULL,
  next             TEXT NOT NULL,
  revision         TEXT NOT NULL,
  applied_revision TEXT NOT NULL,
  desired_digest   TEXT NOT NULL,
  bundle_digest    TEXT NOT NULL,
  input_digest     TEXT NOT NULL,
  fingerprint      TEXT NOT NULL,
  schema_digest    TEXT NOT NULL,
  applied_digest   TEXT NOT NULL,
  deployment       TEXT NOT NULL,
  plan             TEXT NOT NULL,
  observed_at      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A plan is stored once, however many classes of tenants need it.
CREATE TABLE plans (
  digest TEXT NOT NULL PRIMARY KEY CHECK (digest <> ''),
  body   BLOB NOT NULL
) STRICT;

CREATE TABLE plan_classes (
  class  TEXT NOT NULL PRIMARY KEY CHECK (class <> ''),
  digest TEXT NOT NULL REFERENCES plans (digest)
) STRICT, WITHOUT ROWID;

-- body is gzip: bundles repeat themselves.
CREATE TABLE bundles (
  digest TEXT NOT NULL PRIMARY KEY CHECK (digest <> ''),
  body   BLOB NOT NULL
) STRICT;

-- The last pass of each kind.
CREATE TABLE passes (
  kind         TEXT    NOT NULL PRIMARY KEY,
  revision     TEXT    NOT NULL,
  status       TEXT    NOT NULL CHECK (status IN ('Running', 'Succeeded', 'Partial', 'Failed')),
  tenants      INTEGER NOT NULL,
  changed      INTEGER NOT NULL,
  failed       INTEGER NOT NULL,
  error        TEXT    NOT NULL,
  started_at   TEXT    NOT NULL,
  completed_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows are added and never changed. tenant is '' for what concerns the fleet.
CREATE TABLE events (
  id       INTEGER NOT NULL PRIMARY KEY,
  at       TEXT    NOT NULL,
  actor    TEXT    NOT NULL,
  via      TEXT    NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind <> ''),
  tenant   TEXT    NOT NULL,
  revision TEXT    NOT NULL,
  author   TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  detail   TEXT    NOT NULL
) STRICT;

CREATE INDEX events_tenant ON events (tenant, id);
