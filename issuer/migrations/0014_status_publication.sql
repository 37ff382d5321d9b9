-- Acts that are published together at set times, so that nobody who archives the lists sees the copies of one credential flip alone
-- (spec/status.md 4.7).

-- Copies whose change waits for the next set time, with what the lists say of them until then, and since when the change waits.
CREATE TABLE waiting_statuses (
    status_index INTEGER PRIMARY KEY REFERENCES issued (status_index),
    listed       TEXT    NOT NULL CHECK (listed IN ('valid', 'suspended')),
    since        INTEGER NOT NULL
) STRICT;

CREATE INDEX waiting_statuses_by_time ON waiting_statuses (since);

-- Acts by what they say of their urgency; acts of before were published at once.
ALTER TABLE status_acts ADD COLUMN urgent INTEGER NOT NULL DEFAULT 1 CHECK (urgent IN (0, 1));

-- The numbers of messages that an act has used: what they mean stays, since holders were told it.
CREATE TABLE used_messages (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 15)
) STRICT;

INSERT INTO used_messages (number) SELECT DISTINCT number FROM message_acts WHERE number > 0;

CREATE TRIGGER message_used AFTER INSERT ON message_acts WHEN NEW.number > 0
BEGIN INSERT INTO used_messages (number) VALUES (NEW.number) ON CONFLICT (number) DO NOTHING; END;
