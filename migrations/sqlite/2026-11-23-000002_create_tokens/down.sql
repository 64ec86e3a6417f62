-- The CHECK's name is the message: see the down.sql of create_users.
CREATE TEMP TABLE "portcullis_guard" (
    "django" integer NOT NULL
        CONSTRAINT "authtoken_token is Django's table (django_migrations exists here), so it is not dropped; leave it to Django, and do not revert in this database"
        CHECK ("django" = 0)
);
INSERT INTO temp."portcullis_guard" ("django")
    SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'django_migrations';
DROP TABLE temp."portcullis_guard";

DROP TABLE "authtoken_token";
