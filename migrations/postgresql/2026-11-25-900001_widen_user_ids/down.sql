-- What is no integer is lost: which clients a user is known from, and whom an event
-- concerns.
DELETE FROM portcullis_client WHERE user_id !~ '^-?[0-9]{1,18}$';
ALTER TABLE portcullis_client ALTER COLUMN user_id TYPE bigint USING user_id::bigint;
ALTER TABLE portcullis_event ALTER COLUMN user_id TYPE bigint
    USING CASE WHEN user_id ~ '^-?[0-9]{1,18}$' THEN user_id::bigint END;
