-- SQLite stores in a column of integers whatever it is given.
-- A view of them does not keep them from being renamed.
PRAGMA legacy_alter_table = ON;
CREATE TABLE "portcullis_client_new" (
    "user_id" bigint NOT NULL,
    "client" varchar(64) NOT NULL,
    "seen" datetime NOT NULL,
    PRIMARY KEY ("user_id", "client")
);
INSERT INTO "portcullis_client_new" SELECT "user_id", "client", "seen" FROM "portcullis_client";
DROP TABLE "portcullis_client";
ALTER TABLE "portcullis_client_new" RENAME TO "portcullis_client";
CREATE INDEX "portcullis_client_seen" ON "portcullis_client" ("seen");

CREATE TABLE "portcullis_event_new" (
    "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "at" datetime NOT NULL,
    "kind" varchar(32) NOT NULL,
    "user_id" bigint,
    "username" text NOT NULL,
    "address" text NOT NULL,
    "door" text NOT NULL,
    "request_id" text NOT NULL,
    "detail" text NOT NULL
);
INSERT INTO "portcullis_event_new" SELECT * FROM "portcullis_event";
-- No id is given again.
DELETE FROM sqlite_sequence WHERE name = 'portcullis_event_new';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'portcullis_event_new', seq FROM sqlite_sequence WHERE name = 'portcullis_event';
DROP TABLE "portcullis_event";
ALTER TABLE "portcullis_event_new" RENAME TO "portcullis_event";
CREATE INDEX "portcullis_event_at" ON "portcullis_event" ("at");
CREATE INDEX "portcullis_event_user_id" ON "portcullis_event" ("user_id", "at");
PRAGMA legacy_alter_table = OFF;
