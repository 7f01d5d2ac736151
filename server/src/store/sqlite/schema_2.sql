-- Which stream an opening names as the one before: two that name the same one are a fork, the mark of an old card that
-- was put back. Streams opened before this version have none.
ALTER TABLE stream ADD COLUMN previous BLOB;
CREATE INDEX stream_by_previous ON stream (hub, previous) WHERE previous IS NOT NULL;
