-- When this desk was last reconciled with all others: an export from before that is no new contact.
ALTER TABLE redemption_desks ADD COLUMN synced_at INTEGER NOT NULL DEFAULT 0;
