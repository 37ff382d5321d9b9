-- Messages: what an issuer has to say on a credential besides whether it holds. They stand beside the states, in tables of
-- their own, since no act on one changes the other; a credential that was revoked keeps its message, and can get another.

-- What the numbers mean in the copies that carry them: for good, since a number that came to mean something else would say
-- it of copies that were issued before.
CREATE TABLE status_messages (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 15),
    text   TEXT    NOT NULL CHECK (text <> ''),
    -- Copies with a greater seq in `issued` carry it.
    after  INTEGER NOT NULL
) STRICT;

-- Acts on messages. `seq` is of one sequence with that of status_acts: the version of what is published.
CREATE TABLE message_acts (
    seq         INTEGER PRIMARY KEY,
    request_id  TEXT    NOT NULL UNIQUE,
    request     BLOB    NOT NULL,
    number      INTEGER NOT NULL CHECK (number BETWEEN 0 AND 15),
    reason      TEXT    NOT NULL CHECK (reason <> ''),
    who         TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    credentials INTEGER NOT NULL,
    copies      INTEGER NOT NULL,
    changed     INTEGER NOT NULL
) STRICT;

-- The messages of copies that an act has touched; a copy without a row has 0, which says nothing.
CREATE TABLE messages (
    status_index INTEGER PRIMARY KEY REFERENCES issued (status_index),
    number       INTEGER NOT NULL CHECK (number BETWEEN 0 AND 15),
    -- The last act that changed it.
    act          INTEGER NOT NULL REFERENCES message_acts (seq)
) STRICT;

CREATE INDEX messages_by_act ON messages (act);

CREATE TABLE message_changes (
    act          INTEGER NOT NULL REFERENCES message_acts (seq),
    status_index INTEGER NOT NULL REFERENCES issued (status_index),
    before       INTEGER NOT NULL,
    after        INTEGER NOT NULL,
    PRIMARY KEY (act, status_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_changes_by_index ON message_changes (status_index, act);

-- Everything that staff did.
CREATE VIEW acts AS
SELECT seq, request_id, request, verb, NULL AS number, reason, who, at, credentials, copies, changed FROM status_acts
UNION ALL
SELECT seq, request_id, request, 'message', number, reason, who, at, credentials, copies, changed FROM message_acts;

CREATE VIEW changes AS
SELECT act, status_index FROM status_changes UNION ALL SELECT act, status_index FROM message_changes;

CREATE TRIGGER meanings_stay BEFORE UPDATE ON status_messages
BEGIN SELECT RAISE(ABORT, 'a number goes on meaning what it meant'); END;
CREATE TRIGGER messages_stay BEFORE DELETE ON messages
BEGIN SELECT RAISE(ABORT, 'a message is not forgotten'); END;
CREATE TRIGGER message_acts_stay BEFORE UPDATE ON message_acts
BEGIN SELECT RAISE(ABORT, 'what was done is not changed'); END;
CREATE TRIGGER message_acts_remain BEFORE DELETE ON message_acts
BEGIN SELECT RAISE(ABORT, 'what was done is not forgotten'); END;
CREATE TRIGGER message_changes_stay BEFORE UPDATE ON message_changes
BEGIN SELECT RAISE(ABORT, 'what was done is not changed'); END;
CREATE TRIGGER message_changes_remain BEFORE DELETE ON message_changes
BEGIN SELECT RAISE(ABORT, 'what was done is not forgotten'); END;
