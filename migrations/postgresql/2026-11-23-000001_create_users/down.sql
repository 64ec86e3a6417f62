-- Everything is in the message: diesel does not show a HINT. The error code is the
-- one that the failing CHECK gives on SQLite.
DO $$
BEGIN
    IF to_regclass('django_migrations') IS NOT NULL THEN
        RAISE EXCEPTION 'accounts_customuser is Django''s table (django_migrations exists here), so it is not dropped; leave it to Django, and do not revert in this database'
            USING ERRCODE = 'check_violation';
    END IF;

    -- So that nobody signs up between the look and the drop.
    LOCK TABLE accounts_customuser IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT 1 FROM accounts_customuser) THEN
        RAISE EXCEPTION 'accounts_customuser still has users, so it is not dropped; back the database up and delete its rows first if you mean it'
            USING ERRCODE = 'check_violation';
    END IF;
END
$$;

DROP TABLE accounts_customuser;
