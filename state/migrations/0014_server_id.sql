-- What a server itself knows a database by, so that one which somebody makes
-- anew under its name is not taken for it. Empty where that is not known.
ALTER TABLE placements ADD COLUMN server_id TEXT NOT NULL DEFAULT '';
