-- SQLite has no IF and no RAISE outside triggers. A CHECK that fails reports its
-- name, so the names are the messages; the temporary table goes with the
-- transaction's rollback, or at the end of this file.
CREATE TEMP TABLE "portcullis_guard" (
    "django" integer NOT NULL DEFAULT 0
        CONSTRAINT "accounts_customuser is Django's table (django_migrations exists here), so it is not dropped; leave it to Django, and do not revert in this database"
        CHECK ("django" = 0),
    "users" integer NOT NULL DEFAULT 0
        CONSTRAINT "accounts_customuser still has users, so it is not dropped; back the database up and delete its rows first if you mean it"
        CHECK ("users" = 0)
);
INSERT INTO temp."portcullis_guard" ("django")
    SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'django_migrations';
INSERT INTO temp."portcullis_guard" ("users")
    SELECT EXISTS (SELECT 1 FROM "accounts_customuser");
DROP TABLE temp."portcullis_guard";

DROP TABLE "accounts_customuser";
