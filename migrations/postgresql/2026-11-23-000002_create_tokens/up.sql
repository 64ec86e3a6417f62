-- The table of DRF's `rest_framework.authtoken`: one token a user. Where it
-- exists it stays as it is, whichever user table its foreign key names.
DO $$
BEGIN
    IF to_regclass('authtoken_token') IS NOT NULL THEN
        RETURN;
    END IF;

    CREATE TABLE authtoken_token (
        key varchar(40) PRIMARY KEY,
        created timestamp with time zone NOT NULL,
        user_id bigint NOT NULL
            CONSTRAINT authtoken_token_user_id_key UNIQUE
            CONSTRAINT authtoken_token_user_id_35299eff_fk_accounts_customuser_id
            REFERENCES accounts_customuser (id) DEFERRABLE INITIALLY DEFERRED
    );
    CREATE INDEX authtoken_token_key_10f0b77e_like
        ON authtoken_token (key varchar_pattern_ops);
END
$$;
