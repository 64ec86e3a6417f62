-- The counters of the throttle (src/auth/throttle.rs). Times are milliseconds
-- since 1970, because one statement adds to them on both databases.
CREATE TABLE portcullis_attempt (
    account varchar(64) NOT NULL,
    client varchar(64) NOT NULL,
    failures bigint NOT NULL,
    pending bigint NOT NULL,
    pending_until bigint NOT NULL,
    blocked_until bigint NOT NULL,
    forget_at bigint NOT NULL,
    PRIMARY KEY (account, client)
);
CREATE INDEX portcullis_attempt_forget_at ON portcullis_attempt (forget_at);
CREATE INDEX portcullis_attempt_silent ON portcullis_attempt (client, pending_until);

-- From where each user has logged in before.
CREATE TABLE portcullis_client (
    user_id bigint NOT NULL,
    client varchar(64) NOT NULL,
    seen timestamp with time zone NOT NULL,
    PRIMARY KEY (user_id, client)
);
CREATE INDEX portcullis_client_seen ON portcullis_client (seen);
