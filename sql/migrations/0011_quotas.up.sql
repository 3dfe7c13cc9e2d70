-- What operators allow a key or an organization instead of the default quota. Null: no limit.
CREATE TABLE quotas (
  subject_kind        text NOT NULL CHECK (subject_kind IN ('key', 'organization')),
  -- The public id of a key, or the id of an organization, which hosts of the release before call `owner`.
  subject_id          text NOT NULL,
  requests_per_second int CHECK (requests_per_second > 0),
  burst               int NOT NULL DEFAULT 0 CHECK (burst >= 0),
  concurrent_requests int CHECK (concurrent_requests > 0),
  changed_at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject_kind, subject_id)
);
