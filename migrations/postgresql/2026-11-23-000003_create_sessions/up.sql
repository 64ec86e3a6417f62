-- The table of Django's `django.contrib.sessions`.
DO $$
BEGIN
    IF to_regclass('django_session') IS NOT NULL THEN
        RETURN;
    END IF;

    CREATE TABLE django_session (
        session_key varchar(40) PRIMARY KEY,
        session_data text NOT NULL,
        expire_date timestamp with time zone NOT NULL
    );
    CREATE INDEX django_session_session_key_c0390e0f_like
        ON django_session (session_key varchar_pattern_ops);
    CREATE INDEX django_session_expire_date_a5c62663
        ON django_session (expire_date);
END
$$;
