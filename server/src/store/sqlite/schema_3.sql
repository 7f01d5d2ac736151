-- When a token ends by the engine's clock, which never goes back; `expires` is by the wall clock. Tokens made before this
-- version had one end, by the engine's clock.
ALTER TABLE token ADD COLUMN expires_engine INTEGER NOT NULL DEFAULT 0;
UPDATE token SET expires_engine = expires;
