-- The tenants of which git says how their database is reached: a look for drift
-- asks for them, and in most fleets there are none.
CREATE INDEX tenants_connection ON tenants (tenant) WHERE instr(spec, '"connectionConfig"') > 0;
