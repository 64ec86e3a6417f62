-- Which session hash a login that upgraded a password hash has replaced, so that the
-- user's other sessions go on: digests of both, of no use to anybody.
CREATE TABLE portcullis_upgraded_hash (
    user_id text NOT NULL,
    old_hash varchar(64) NOT NULL,
    new_hash varchar(64) NOT NULL,
    forget_at timestamp with time zone NOT NULL,
    PRIMARY KEY (user_id, old_hash)
);
CREATE INDEX portcullis_upgraded_hash_forget_at ON portcullis_upgraded_hash (forget_at);
