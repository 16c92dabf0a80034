-- A tenant with two deployments, as a program of format 1 has left it: made, given a
-- seed and a view, and then a column was retired. Never to be made anew.
BEGIN TRANSACTION;
CREATE TABLE _reconciler_journal (
 seq INTEGER PRIMARY KEY,
 deployment TEXT NOT NULL UNIQUE,
 at TEXT NOT NULL,
 revision TEXT NOT NULL,
 author TEXT NOT NULL,
 bundle TEXT NOT NULL,
 previous_bundle TEXT NOT NULL,
 plan TEXT NOT NULL,
 from_fingerprint TEXT NOT NULL,
 to_fingerprint TEXT NOT NULL,
 schema_digest TEXT NOT NULL,
 retired TEXT NOT NULL,
 back_to TEXT NOT NULL,
 statements TEXT NOT NULL,
 way_back TEXT NOT NULL,
 undo TEXT NOT NULL,
 images TEXT NOT NULL
);
INSERT INTO "_reconciler_journal" VALUES(1,'01a2226e-36f8-706f-8f16-970edb4b5482','2026-11-28T13:52:58.088Z','8adf3495f934d3bb5d16339b98ecb1bf72ff3835','a','351312643d3bc4a8996ca07be087663f05d6b8640aaedefb38d8b6b28051c731','','37dbd882fb3bb1e71cc90159d9946a28869e09bfb99e59a163fbd089bf305444','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855','78dde8527d27db3a5c195f97edf477f98349da13debaa70d9e6017b944343b0d','8aff69e2183c6a0322c143e42ff85f8ca7f3351e7ddcb1371af99d74ce60e99d','[]','','["CREATE TABLE `customer` (`id` text NOT NULL, `created_at` text NULL DEFAULT (strftime(''%Y-%m-%dT%H:%M:%fZ'')), `updated_at` text NULL DEFAULT (strftime(''%Y-%m-%dT%H:%M:%fZ'')), `city` text NULL, `email` text NULL, `name` text NOT NULL, PRIMARY KEY (`id`))","CREATE TABLE `sys_metadata` (`id` text NOT NULL, `created_at` text NULL DEFAULT (strftime(''%Y-%m-%dT%H:%M:%fZ'')), `updated_at` text NULL DEFAULT (strftime(''%Y-%m-%dT%H:%M:%fZ'')), `checksum` text NULL, `created_by` text NULL, `extends` text NULL, `managed_by` text NULL, `metadata` text NOT NULL, `name` text NOT NULL, `namespace` text NULL DEFAULT ''default'', `owner` text NULL, `package_id` text NULL, `scope` text NOT NULL DEFAULT ''platform'', `source` text NULL, `state` text NULL DEFAULT ''active'', `strategy` text NULL DEFAULT ''merge'', `tags` text NULL, `tenant_id` text NULL, `type` text NOT NULL, `updated_by` text NULL, `version` real NULL DEFAULT 1, PRIMARY KEY (`id`))","CREATE INDEX `idx_customer_city` ON `customer` (`city`)","CREATE UNIQUE INDEX `uniq_customer_email` ON `customer` (`email`)"]','["DROP INDEX `idx_customer_city`","DROP INDEX `uniq_customer_email`","ALTER TABLE `customer` RENAME TO `_retired_1_customer`","ALTER TABLE `sys_metadata` RENAME TO `_retired_2_sys_metadata`"]','[{"type":"object","name":"customer"},{"type":"view","name":"customers"}]','[{"object":"customer","key":"ada@example.com","table":"customer","id":"2zuci5aso725fqwaahxhbpehuz","values":null,"after":{"email":"''ada@example.com''","id":"''2zuci5aso725fqwaahxhbpehuz''","name":"''Ada''"}}]');
INSERT INTO "_reconciler_journal" VALUES(2,'01a2226e-3817-7c00-af20-6b0340aaf8b5','2026-11-28T13:52:58.335Z','5b19ff0348fbde8615b6762c605a704bb8ad63d8','a','83d5eeae7fa7d26868d9eaeb9dab03de312875e421a5cb110d986a8af09b901e','351312643d3bc4a8996ca07be087663f05d6b8640aaedefb38d8b6b28051c731','3af09d6ddf0d2271ee9e0101396b0daf76ec48de21814564546107aadc007221','78dde8527d27db3a5c195f97edf477f98349da13debaa70d9e6017b944343b0d','5cd5c50d2a55697192ceaedb0afba572e459e69eeaff48675e73e237c1618ca2','41f1f181b68dcd82041086c0da098ea1aff5e3a68610ddb861081e61bbce15be','["_retired_1_city"]','','["DROP INDEX `idx_customer_city`","ALTER TABLE `customer` RENAME COLUMN `city` TO `_retired_1_city`"]','["ALTER TABLE `customer` RENAME COLUMN `_retired_1_city` TO `city`","CREATE INDEX `idx_customer_city` ON `customer` (`city`)"]','[{"type":"object","name":"customer","package":"shop","checksum":"5ca66391107580eaef8b79e355e7b7774ec643f2c2a2dcb374ef7598a905b612","body":"{\"fields\":{\"city\":{\"index\":true,\"type\":\"text\"},\"email\":{\"type\":\"email\",\"unique\":true},\"name\":{\"required\":true,\"type\":\"text\"}},\"label\":\"Customer\",\"name\":\"customer\"}"}]','[]');
CREATE TABLE _reconciler_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "_reconciler_meta" VALUES('applied','065d508c000095316168393e9b3f585a69115bc52dfa0b7d828d029d14f477bb');
INSERT INTO "_reconciler_meta" VALUES('apps','[{"name":"shop","version":"1.0.0"}]');
INSERT INTO "_reconciler_meta" VALUES('environment','prod');
INSERT INTO "_reconciler_meta" VALUES('fleet','main');
INSERT INTO "_reconciler_meta" VALUES('format','1');
INSERT INTO "_reconciler_meta" VALUES('owned','{"tables":[{"name":"customer","object":"customer","columns":["created_at","email","id","name","updated_at"],"indexes":["uniq_customer_email"],"retired":[{"name":"_retired_1_city","column":"city","form":{"type":"TEXT"},"indexes":["CREATE INDEX `idx_customer_city` ON `customer` (`city`)"]}]},{"name":"sys_metadata","object":"sys_metadata","columns":["checksum","created_at","created_by","extends","id","managed_by","metadata","name","namespace","owner","package_id","scope","source","state","strategy","tags","tenant_id","type","updated_at","updated_by","version"]}]}');
INSERT INTO "_reconciler_meta" VALUES('policy','{"seedMode":"strict","retire":true}');
INSERT INTO "_reconciler_meta" VALUES('registered','[{"type":"object","name":"customer","package":"shop","checksum":"06964c2faf0310fe36cd94505e8e116da60b3f4a1033ff31778fac23e240292c"},{"type":"view","name":"customers","package":"shop","checksum":"0b3477c45c64d49aa49d126649569e58114005c0113e88bd9a2f9d079ed877b3"}]');
INSERT INTO "_reconciler_meta" VALUES('seeds','{"customer":"52a468d1537398d30a2fa9378a9d8342def17ce1acab509ab698150fc40b7085"}');
INSERT INTO "_reconciler_meta" VALUES('tenant','acme');
CREATE TABLE _reconciler_seed (
 object TEXT NOT NULL,
 key TEXT NOT NULL,
 written TEXT NOT NULL,
 PRIMARY KEY (object, key)
) WITHOUT ROWID;
INSERT INTO "_reconciler_seed" VALUES('customer','ada@example.com','{"email":"''ada@example.com''","name":"''Ada''"}');
CREATE TABLE `customer` (`id` text NOT NULL, `created_at` text NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), `updated_at` text NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), "_retired_1_city" text NULL, `email` text NULL, `name` text NOT NULL, PRIMARY KEY (`id`));
INSERT INTO "customer" VALUES('2zuci5aso725fqwaahxhbpehuz','2026-11-28T13:52:58.108Z','2026-11-28T13:52:58.108Z',NULL,'ada@example.com','Ada');
CREATE TABLE `sys_metadata` (`id` text NOT NULL, `created_at` text NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), `updated_at` text NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), `checksum` text NULL, `created_by` text NULL, `extends` text NULL, `managed_by` text NULL, `metadata` text NOT NULL, `name` text NOT NULL, `namespace` text NULL DEFAULT 'default', `owner` text NULL, `package_id` text NULL, `scope` text NOT NULL DEFAULT 'platform', `source` text NULL, `state` text NULL DEFAULT 'active', `strategy` text NULL DEFAULT 'merge', `tags` text NULL, `tenant_id` text NULL, `type` text NOT NULL, `updated_by` text NULL, `version` real NULL DEFAULT 1, PRIMARY KEY (`id`));
INSERT INTO "sys_metadata" VALUES('4bcmpdyonctcx4z7cgp5q3klqy','2026-11-28T13:52:58.109Z','2026-11-28T13:52:58.395Z','06964c2faf0310fe36cd94505e8e116da60b3f4a1033ff31778fac23e240292c',NULL,NULL,'package','{"fields":{"email":{"type":"email","unique":true},"name":{"required":true,"type":"text"}},"label":"Customer","name":"customer"}','customer','default',NULL,'shop','platform','migration','active','merge',NULL,NULL,'object',NULL,2.0);
INSERT INTO "sys_metadata" VALUES('u25fmg5k6qsmk2a5lskmb5vlth','2026-11-28T13:52:58.109Z','2026-11-28T13:52:58.109Z','0b3477c45c64d49aa49d126649569e58114005c0113e88bd9a2f9d079ed877b3',NULL,NULL,'package','{"list":{"columns":["name"],"data":{"object":"customer","provider":"object"},"type":"grid"},"name":"customers"}','customers','default',NULL,'shop','platform','migration','active','merge',NULL,NULL,'view',NULL,1.0);
CREATE UNIQUE INDEX `uniq_customer_email` ON `customer` (`email`);
COMMIT;
