CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL) STRICT;

-- One row: this life of the store, and the engine's time at the last commit.
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1), store BLOB NOT NULL CHECK (length(store) = 16), engine_time INTEGER
) STRICT;

CREATE TABLE hub (
  hub BLOB PRIMARY KEY CHECK (length(hub) = 16), label TEXT NOT NULL, enrolled INTEGER NOT NULL, revoked INTEGER,
  settings_counter INTEGER NOT NULL, last_stored INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE identity_key (
  hub BLOB NOT NULL REFERENCES hub, identity BLOB NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  compromised INTEGER, PRIMARY KEY (hub, identity)
) STRICT, WITHOUT ROWID;

CREATE TABLE certificate (
  serial TEXT PRIMARY KEY, hub BLOB NOT NULL REFERENCES hub, der BLOB NOT NULL, not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL, revoked INTEGER
) STRICT, WITHOUT ROWID;

-- Identity is encrypted under the patient's own key, which is wrapped by the master key; nhs_lookup is a MAC.
CREATE TABLE patient (
  patient BLOB PRIMARY KEY CHECK (length(patient) = 16), ward TEXT NOT NULL, added INTEGER NOT NULL,
  key BLOB NOT NULL, nhs_lookup BLOB NOT NULL UNIQUE, nhs_number BLOB NOT NULL, name BLOB NOT NULL, born BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE binding (
  binding BLOB PRIMARY KEY CHECK (length(binding) = 16), hub BLOB NOT NULL REFERENCES hub, device TEXT NOT NULL,
  slot INTEGER, patient BLOB NOT NULL REFERENCES patient, began INTEGER NOT NULL, ended INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX binding_by_hub ON binding (hub, device);
CREATE INDEX binding_by_patient ON binding (patient);

CREATE TABLE stream (
  ordinal INTEGER PRIMARY KEY, hub BLOB NOT NULL, stream BLOB NOT NULL, opening BLOB, signature BLOB,
  identity_digest BLOB, boot BLOB, cloned INTEGER NOT NULL DEFAULT 0, arrived INTEGER NOT NULL, UNIQUE (hub, stream)
) STRICT;

-- What is stored of each stream. It outlives retention and erasure, so that an erased record cannot come back.
CREATE TABLE stream_range (
  stream INTEGER NOT NULL REFERENCES stream, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;

-- One row for each record taken: the same sequence with another tag is a conflict.
CREATE TABLE record (
  stream INTEGER NOT NULL, sequence INTEGER NOT NULL, tag BLOB NOT NULL, PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;

-- rowid is the observation's place. No UNIQUE index: were a record taken twice, counting must show it.
CREATE TABLE observation (
  place INTEGER PRIMARY KEY, stream INTEGER NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
  patient BLOB, binding BLOB, device TEXT NOT NULL, slot INTEGER, metric INTEGER NOT NULL, mantissa INTEGER,
  exponent INTEGER, unit INTEGER, absent INTEGER, quality INTEGER NOT NULL, usability INTEGER NOT NULL,
  captured_tick INTEGER NOT NULL, captured_wall INTEGER NOT NULL, captured_clock INTEGER NOT NULL, device_time TEXT,
  taken INTEGER NOT NULL, age_ms INTEGER, late INTEGER NOT NULL, history INTEGER NOT NULL, repeat_of INTEGER,
  arrived INTEGER NOT NULL
) STRICT;
CREATE INDEX observation_by_record ON observation (stream, sequence, position);
CREATE INDEX observation_by_patient ON observation (patient, metric, taken) WHERE patient IS NOT NULL;

-- Records of devices' memories, by digest of their identity.
CREATE TABLE device_record (digest BLOB PRIMARY KEY, place INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE latest (
  patient BLOB NOT NULL, metric INTEGER NOT NULL, taken INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (patient, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE technical_entry (
  entry INTEGER PRIMARY KEY, hub BLOB NOT NULL, stream INTEGER, sequence INTEGER, kind TEXT NOT NULL,
  body TEXT NOT NULL, arrived INTEGER NOT NULL
) STRICT;
CREATE INDEX technical_by_hub ON technical_entry (hub, kind);

-- Sequences that will never come: given up by a hub's policy, or consumed by a failed write. They close gaps.
CREATE TABLE gone_range (
  hub BLOB NOT NULL, stream BLOB NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, cause TEXT NOT NULL,
  PRIMARY KEY (hub, stream, first, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
  entry INTEGER PRIMARY KEY, stream INTEGER NOT NULL REFERENCES stream, sequence INTEGER NOT NULL, tag BLOB NOT NULL,
  reason TEXT NOT NULL, raw BLOB NOT NULL, arrived INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_by_record ON quarantine (stream, sequence);

CREATE TABLE alert_event (
  number INTEGER PRIMARY KEY, alert BLOB NOT NULL, patient BLOB, hub BLOB, at INTEGER NOT NULL, wards TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX alert_event_by_patient ON alert_event (patient) WHERE patient IS NOT NULL;
CREATE TABLE standing_alert (alert BLOB PRIMARY KEY, number INTEGER NOT NULL REFERENCES alert_event) STRICT, WITHOUT ROWID;
CREATE TABLE alert_state (subject BLOB PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  token BLOB PRIMARY KEY, secret_hash BLOB NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, scope TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (number INTEGER PRIMARY KEY, content BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
