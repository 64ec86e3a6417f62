-- A user's key may be an integer, a UUID or a text: these tables have the text of it.
ALTER TABLE portcullis_client ALTER COLUMN user_id TYPE text;
ALTER TABLE portcullis_event ALTER COLUMN user_id TYPE text;
