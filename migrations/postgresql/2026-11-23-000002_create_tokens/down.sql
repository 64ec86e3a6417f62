DO $$
BEGIN
    IF to_regclass('django_migrations') IS NOT NULL THEN
        RAISE EXCEPTION 'authtoken_token is Django''s table (django_migrations exists here), so it is not dropped; leave it to Django, and do not revert in this database'
            USING ERRCODE = 'check_violation';
    END IF;
END
$$;

DROP TABLE authtoken_token;
