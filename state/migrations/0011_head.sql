-- The revision of the tenants whose row says HEAD: those that have had what git
-- wants since before it. A commit that concerns one tenant then writes the row
-- of that tenant and this one.
CREATE TABLE head (
  id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  revision TEXT    NOT NULL
) STRICT;

INSERT INTO head (id, revision) VALUES (1, '');

-- What is observed of each tenant, with its revisions.
CREATE VIEW seen AS
  SELECT tenant, sync, health, reason, message, next,
         iif(observed.revision = 'HEAD', head.revision, observed.revision) AS revision,
         iif(observed.revision = 'HEAD', head.revision, applied_revision) AS applied_revision,
         desired_digest, bundle_digest, input_digest, fingerprint, schema_digest, applied_digest,
         deployment, plan, target, tried, observed_at, purge_at,
         iif(observed.revision = 'HEAD', '1', '') AS follows
  FROM observed, head;
