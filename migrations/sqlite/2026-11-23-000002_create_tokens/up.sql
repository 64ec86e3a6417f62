-- The table of DRF's `rest_framework.authtoken`: one token a user. Where it
-- exists it stays as it is, whichever user table its foreign key names.
CREATE TABLE IF NOT EXISTS "authtoken_token" (
    "key" varchar(40) NOT NULL PRIMARY KEY,
    "created" datetime NOT NULL,
    "user_id" bigint NOT NULL UNIQUE REFERENCES "accounts_customuser" ("id") DEFERRABLE INITIALLY DEFERRED
);
