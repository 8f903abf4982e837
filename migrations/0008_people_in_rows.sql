-- Whom a row shows, so that it can follow when that person is erased: the row then changes like with any other event,
-- and a caller that kept the old answer is told so. Null where it shows nobody, or nobody any more.
ALTER TABLE models ADD COLUMN owner_person uuid;
CREATE INDEX models_owner_idx ON models (owner_person) WHERE owner_person IS NOT NULL;

ALTER TABLE model_versions ADD COLUMN created_by_person uuid, ADD COLUMN updated_by_person uuid;
CREATE INDEX model_versions_creator_idx ON model_versions (created_by_person) WHERE created_by_person IS NOT NULL;
CREATE INDEX model_versions_updater_idx ON model_versions (updated_by_person) WHERE updated_by_person IS NOT NULL;
