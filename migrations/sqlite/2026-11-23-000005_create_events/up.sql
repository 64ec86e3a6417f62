-- The audit log (src/auth/audit.rs). No reference to the user table: what was
-- done stays known when the user is gone.
CREATE TABLE "portcullis_event" (
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
CREATE INDEX "portcullis_event_at" ON "portcullis_event" ("at");
CREATE INDEX "portcullis_event_user_id" ON "portcullis_event" ("user_id", "at");
